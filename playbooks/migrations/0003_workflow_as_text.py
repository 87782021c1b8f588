"""The compiled workflow keeps the order of its steps, which jsonb does not."""

from importlib import import_module

from django.db import migrations, models

trigger = import_module("playbooks.migrations.0002_versions_never_change")


class Migration(migrations.Migration):
    dependencies = [("playbooks", "0002_versions_never_change")]
    operations = [
        # PostgreSQL changes no column that a trigger looks at.
        migrations.RunSQL(trigger.BACKWARDS, trigger.FORWARDS),
        migrations.AlterField("playbookversion", "workflow", models.TextField()),
        migrations.RunSQL(trigger.FORWARDS, trigger.BACKWARDS),
    ]
