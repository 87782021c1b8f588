from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('accounts', '0002_dispatch_weight_and_queue_limit'),
    ]

    operations = [
        migrations.AddField(
            model_name='tenant',
            name='four_eyes',
            field=models.BooleanField(default=False, help_text='Whoever started an execution, or made the playbook version that it runs, does not vote on its approvals, unless a policy says otherwise.'),
        ),
    ]
