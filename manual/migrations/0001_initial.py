import core.models
import django.contrib.postgres.fields
import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):

    initial = True

    dependencies = [
        ('accounts', '0001_initial'),
        ('executions', '0001_initial'),
    ]

    operations = [
        migrations.CreateModel(
            name='ManualRequest',
            fields=[
                ('id', models.UUIDField(default=core.models.uuid7, editable=False, primary_key=True, serialize=False)),
                ('step_id', models.CharField(max_length=300)),
                ('playbook_cacao_id', models.CharField(max_length=300)),
                ('kind', models.CharField(choices=[('input', 'Do this and give the values'), ('approval', 'Approve or reject'), ('decision', 'Decide yes or no'), ('choice', 'Choose one')], max_length=16)),
                ('status', models.CharField(choices=[('open', 'Open'), ('answered', 'Answered'), ('expired', 'Expired'), ('cancelled', 'Cancelled')], default='open', max_length=16)),
                ('text', models.TextField(blank=True)),
                ('description', models.TextField(blank=True)),
                ('commands', models.JSONField(default=list)),
                ('targets', models.JSONField(default=dict)),
                ('out_args', models.JSONField(default=dict)),
                ('choices', django.contrib.postgres.fields.ArrayField(base_field=models.TextField(), default=list, size=None)),
                ('approvers', django.contrib.postgres.fields.ArrayField(base_field=models.TextField(), default=list, help_text='E-mails or roles; empty: whoever has the right.', size=None)),
                ('requested_at', models.DateTimeField()),
                ('deadline_at', models.DateTimeField(null=True)),
                ('answer', models.JSONField(null=True)),
                ('answered_at', models.DateTimeField(null=True)),
                ('answered_by', models.CharField(blank=True, max_length=300)),
                ('answered_by_id', models.CharField(blank=True, max_length=100)),
                ('execution', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='manual_requests', to='executions.execution')),
                ('step_run', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='manual_requests', to='executions.steprun')),
                ('tenant', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='manual_requests', to='accounts.tenant')),
            ],
            options={
                'indexes': [models.Index(condition=models.Q(('status', 'open')), fields=['tenant', 'requested_at', 'id'], name='open_requests'), models.Index(condition=models.Q(('status', 'open')), fields=['deadline_at'], name='open_request_deadlines')],
                'constraints': [models.UniqueConstraint(condition=models.Q(('status', 'open')), fields=('step_run',), name='one_open_request_per_step_run'), models.CheckConstraint(condition=models.Q(models.Q(('answered_at__isnull', False), ('status', 'answered')), models.Q(models.Q(('status', 'answered'), _negated=True), ('answered_at__isnull', True)), _connector='OR'), name='answered_request_has_a_time')],
            },
        ),
    ]
