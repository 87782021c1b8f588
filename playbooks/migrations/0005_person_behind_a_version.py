"""A version keeps the person behind it, for approvals by four eyes; that never changes either."""

from importlib import import_module

from django.db import migrations, models

trigger = import_module("playbooks.migrations.0002_versions_never_change")

FORWARDS = trigger.FORWARDS.replace("OLD.created_by)", "OLD.created_by, OLD.created_by_person)").replace(
    "NEW.created_by)", "NEW.created_by, NEW.created_by_person)"
)


class Migration(migrations.Migration):
    dependencies = [("playbooks", "0004_triggers_by_themselves")]
    operations = [
        migrations.RunSQL(trigger.BACKWARDS, trigger.FORWARDS),
        migrations.AddField("playbookversion", "created_by_person", models.UUIDField(editable=False, null=True)),
        migrations.RunSQL(FORWARDS, trigger.BACKWARDS),
    ]
