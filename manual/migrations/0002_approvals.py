import core.models
import django.contrib.postgres.fields
import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('accounts', '0003_four_eyes'),
        ('connectors', '0001_initial'),
        ('manual', '0001_initial'),
        ('playbooks', '0005_person_behind_a_version'),
    ]

    operations = [
        migrations.AddField(
            model_name='manualrequest',
            name='also_approvers',
            field=models.JSONField(default=list),
        ),
        migrations.AddField(
            model_name='manualrequest',
            name='digest',
            field=models.CharField(blank=True, max_length=64),
        ),
        migrations.AddField(
            model_name='manualrequest',
            name='excluded',
            field=models.JSONField(default=dict),
        ),
        migrations.AddField(
            model_name='manualrequest',
            name='four_eyes',
            field=models.BooleanField(default=False),
        ),
        migrations.AddField(
            model_name='manualrequest',
            name='noes_needed',
            field=models.PositiveSmallIntegerField(default=1),
        ),
        migrations.AddField(
            model_name='manualrequest',
            name='policies',
            field=django.contrib.postgres.fields.ArrayField(base_field=models.TextField(), default=list, size=None),
        ),
        migrations.AddField(
            model_name='manualrequest',
            name='reason',
            field=models.CharField(blank=True, max_length=32),
        ),
        migrations.AddField(
            model_name='manualrequest',
            name='shown',
            field=models.JSONField(null=True),
        ),
        migrations.AddField(
            model_name='manualrequest',
            name='votes_needed',
            field=models.PositiveSmallIntegerField(default=1),
        ),
        migrations.CreateModel(
            name='ApprovalPolicy',
            fields=[
                ('id', models.UUIDField(default=core.models.uuid7, editable=False, primary_key=True, serialize=False)),
                ('name', models.CharField(max_length=128)),
                ('covers', models.CharField(choices=[('calls', 'What steps do outside'), ('approval_steps', 'Approval steps of playbooks')], default='calls', max_length=16)),
                ('operation', models.CharField(blank=True, help_text='Only this operation (http.request, act-block-ip), or connector (http).', max_length=128)),
                ('effects', django.contrib.postgres.fields.ArrayField(base_field=models.CharField(choices=[('read', 'read'), ('keyed', 'keyed'), ('idempotent', 'idempotent'), ('probe', 'probe'), ('unsafe', 'unsafe')], max_length=16), blank=True, default=list, help_text='Only calls of these effect classes. Empty: all but read.', size=None)),
                ('votes', models.PositiveSmallIntegerField(default=1, help_text='How many people have to say yes.')),
                ('approvers', django.contrib.postgres.fields.ArrayField(base_field=models.CharField(max_length=254), blank=True, default=list, help_text='E-mails or roles; empty: whoever may decide approvals.', size=None)),
                ('four_eyes', models.BooleanField(blank=True, help_text='Unknown: as the tenant has it.', null=True)),
                ('first_no_decides', models.BooleanField(default=True, help_text='Off: a no counts as one vote.')),
                ('deadline', models.DurationField(blank=True, help_text='How long people have. Empty: 24 hours in S4E playbooks, 10 minutes in CACAO.', null=True)),
                ('is_enabled', models.BooleanField(default=True)),
                ('created_at', models.DateTimeField(editable=False)),
                ('updated_at', models.DateTimeField(editable=False)),
                ('connection', models.ForeignKey(blank=True, help_text='Only calls through this connection.', null=True, on_delete=django.db.models.deletion.RESTRICT, related_name='+', to='connectors.connection')),
                ('playbook', models.ForeignKey(blank=True, help_text='Only steps of this playbook.', null=True, on_delete=django.db.models.deletion.RESTRICT, related_name='+', to='playbooks.playbook')),
                ('tenant', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='approval_policies', to='accounts.tenant')),
            ],
            options={
                'verbose_name_plural': 'approval policies',
                'constraints': [models.UniqueConstraint(fields=('tenant', 'name'), name='one_approval_policy_per_name'), models.CheckConstraint(condition=models.Q(('votes__gte', 1)), name='approval_policy_has_votes')],
            },
        ),
        migrations.CreateModel(
            name='Vote',
            fields=[
                ('id', models.UUIDField(default=core.models.uuid7, editable=False, primary_key=True, serialize=False)),
                ('voter', models.CharField(max_length=160)),
                ('name', models.CharField(max_length=300)),
                ('approves', models.BooleanField()),
                ('comment', models.TextField(blank=True)),
                ('voted_at', models.DateTimeField()),
                ('actor_id', models.CharField(max_length=100)),
                ('request', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='votes', to='manual.manualrequest')),
                ('tenant', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to='accounts.tenant')),
            ],
            options={
                'ordering': ('voted_at', 'id'),
                'constraints': [models.UniqueConstraint(fields=('request', 'voter'), name='one_vote_per_person_and_request')],
            },
        ),
    ]
