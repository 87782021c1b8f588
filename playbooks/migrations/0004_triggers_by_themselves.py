"""Triggers fire by the clock and by signed requests. Schedules without a next fire get theirs from the first sweep."""

import django.contrib.postgres.fields
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('accounts', '0001_initial'),
        ('playbooks', '0003_workflow_as_text'),
    ]

    operations = [
        migrations.AddField(
            model_name='trigger',
            name='dedup_fields',
            field=django.contrib.postgres.fields.ArrayField(base_field=models.TextField(), blank=True, default=list, help_text='Paths into the data that make two events the same.', size=None),
        ),
        migrations.AddField(
            model_name='trigger',
            name='is_from_document',
            field=models.BooleanField(default=True, help_text="It stands in the playbook's document, which says its event, conditions and cron."),
        ),
        # Those that are there all came with a document; later ones say so.
        migrations.AlterField(
            model_name='trigger',
            name='is_from_document',
            field=models.BooleanField(default=False, help_text="It stands in the playbook's document, which says its event, conditions and cron."),
        ),
        migrations.AddField(
            model_name='trigger',
            name='last_error',
            field=models.CharField(blank=True, editable=False, help_text='Why it last started nothing; empty after a start.', max_length=500),
        ),
        migrations.AddField(
            model_name='trigger',
            name='last_error_at',
            field=models.DateTimeField(blank=True, editable=False, null=True),
        ),
        migrations.AddField(
            model_name='trigger',
            name='last_execution_id',
            field=models.UUIDField(blank=True, editable=False, null=True),
        ),
        migrations.AddField(
            model_name='trigger',
            name='last_fired_at',
            field=models.DateTimeField(blank=True, editable=False, null=True),
        ),
        migrations.AddField(
            model_name='trigger',
            name='last_missed',
            field=models.CharField(blank=True, editable=False, help_text='Which fires of a schedule were last left out.', max_length=200),
        ),
        migrations.AddField(
            model_name='trigger',
            name='missed_policy',
            field=models.CharField(choices=[('skip', 'Skip them'), ('once', 'Make up for the latest'), ('all', 'Make up for each')], default='once', help_text='For fires that nobody was there for.', max_length=8),
        ),
        migrations.AddField(
            model_name='trigger',
            name='next_due_at',
            field=models.DateTimeField(blank=True, editable=False, help_text="A schedule's next fire; empty until a sweep has looked at it.", null=True),
        ),
        migrations.AddField(
            model_name='trigger',
            name='old_secret_until',
            field=models.DateTimeField(blank=True, editable=False, null=True),
        ),
        migrations.AddField(
            model_name='trigger',
            name='parameters',
            field=models.JSONField(blank=True, default=dict),
        ),
        migrations.AddField(
            model_name='trigger',
            name='sealed_old_secret',
            field=models.TextField(blank=True, editable=False),
        ),
        migrations.AddField(
            model_name='trigger',
            name='sealed_secret',
            field=models.TextField(blank=True, editable=False),
        ),
        migrations.AddField(
            model_name='trigger',
            name='signature',
            field=models.CharField(choices=[('sallyport', 'Sallyport: time, id and body'), ('github', 'GitHub: the body alone')], default='sallyport', max_length=16),
        ),
        migrations.AlterField(
            model_name='trigger',
            name='cron',
            field=models.CharField(blank=True, help_text='Minute, hour, day, month, day of week; UTC.', max_length=100),
        ),
        migrations.AddIndex(
            model_name='trigger',
            index=models.Index(condition=models.Q(('event', 'schedule'), ('is_enabled', True)), fields=['next_due_at'], name='trigger_due'),
        ),
        migrations.AddConstraint(
            model_name='trigger',
            constraint=models.CheckConstraint(condition=models.Q(('missed_policy__in', ('skip', 'once', 'all'))), name='missed_known'),
        ),
        migrations.AddConstraint(
            model_name='trigger',
            constraint=models.CheckConstraint(condition=models.Q(('signature__in', ('sallyport', 'github'))), name='signature_known'),
        ),
        migrations.AddConstraint(
            model_name='trigger',
            constraint=models.UniqueConstraint(condition=models.Q(('is_from_document', True)), fields=('playbook',), name='one_trigger_of_the_document'),
        ),
    ]
