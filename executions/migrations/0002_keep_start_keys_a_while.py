from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("executions", "0001_initial")]

    operations = [
        migrations.AddIndex(
            model_name="execution",
            index=models.Index(
                condition=models.Q(("start_key__isnull", False)), fields=["created_at"], name="execution_start_keys"
            ),
        ),
    ]
