from django.db import migrations, models


class Migration(migrations.Migration):
    """Who holds an execution: a parent that is held holds its children, and lifts only what it put on itself."""

    dependencies = [("executions", "0004_fair_dispatch")]

    operations = [
        migrations.AddField(
            model_name="execution",
            name="held_by",
            field=models.CharField(blank=True, db_default="", default="", max_length=16),
        ),
        migrations.RunSQL(
            "UPDATE executions_execution SET held_by = 'operator' WHERE held_at IS NOT NULL",
            reverse_sql=migrations.RunSQL.noop,
        ),
    ]
