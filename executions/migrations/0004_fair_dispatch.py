import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('accounts', '0002_dispatch_weight_and_queue_limit'),
        ('executions', '0003_gates'),
        ('playbooks', '0003_workflow_as_text'),
    ]

    operations = [
        migrations.RemoveIndex(
            model_name='steprun',
            name='step_run_due',
        ),
        migrations.AddField(
            model_name='steprun',
            name='goes_ahead',
            field=models.BooleanField(db_default=False, default=False),
        ),
        migrations.AddField(
            model_name='steprun',
            name='nudged_with',
            field=models.PositiveSmallIntegerField(db_default=1, default=1),
        ),
        migrations.AlterField(
            model_name='attempt',
            name='step_run',
            field=models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.CASCADE, related_name='attempts', to='executions.steprun'),
        ),
        migrations.AlterField(
            model_name='event',
            name='execution',
            field=models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.CASCADE, related_name='events', to='executions.execution'),
        ),
        migrations.AlterField(
            model_name='steprun',
            name='execution',
            field=models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.CASCADE, related_name='step_runs', to='executions.execution'),
        ),
        migrations.AlterField(
            model_name='steprun',
            name='tenant',
            field=models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='accounts.tenant'),
        ),
        migrations.AddIndex(
            model_name='execution',
            index=models.Index(condition=models.Q(('status', 'pending')), fields=['tenant', 'playbook', 'id'], name='execution_fresh'),
        ),
        migrations.AddIndex(
            model_name='steprun',
            index=models.Index(condition=models.Q(('status__in', ('pending', 'retrying'))), fields=['tenant', 'due_at'], name='step_run_queued'),
        ),
        migrations.AddIndex(
            model_name='steprun',
            index=models.Index(condition=models.Q(('status__in', ('pending', 'retrying')), ('published_at__isnull', True), models.Q(('position__gt', 1), ('started_at__isnull', False), _connector='OR')), fields=['tenant', 'execution', 'position', 'due_at'], name='step_run_begun'),
        ),
        migrations.AddIndex(
            model_name='steprun',
            index=models.Index(condition=models.Q(('status__in', ('pending', 'retrying')), ('lost_attempts__gt', 0), ('published_at__isnull', True)), fields=['tenant', 'execution'], name='step_run_lost'),
        ),
        migrations.AddIndex(
            model_name='steprun',
            index=models.Index(condition=models.Q(('status__in', ('pending', 'retrying')), ('published_at__isnull', False)), fields=['published_at'], name='step_run_published'),
        ),
        migrations.AddIndex(
            model_name='steprun',
            index=models.Index(condition=models.Q(('status__in', ('pending', 'retrying')), ('goes_ahead', True), ('published_at__isnull', False)), fields=['tenant'], name='step_run_ahead'),
        ),
    ]
