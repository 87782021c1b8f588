import django.db.models.fields.json
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('accounts', '0004_keep_days'),
        ('executions', '0011_rules_as_functions'),
    ]

    operations = [
        migrations.AddIndex(
            model_name='outboxmessage',
            index=models.Index(fields=['tenant', 'created_at'], name='outbox_oldest'),
        ),
        migrations.AddIndex(
            model_name='outboxmessage',
            index=models.Index(django.db.models.fields.json.KeyTextTransform('execution', 'body'), condition=models.Q(('sent_at', None)), name='outbox_unsent_of'),
        ),
        migrations.AddIndex(
            model_name='execution',
            index=models.Index(condition=models.Q(('status__in', ('failed', 'cancelled'))), fields=['tenant', '-created_at', 'id'], name='execution_ended_badly'),
        ),
    ]
