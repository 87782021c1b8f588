
import django.core.validators
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('accounts', '0001_initial'),
    ]

    operations = [
        migrations.AddField(
            model_name='tenant',
            name='dispatch_weight',
            field=models.PositiveSmallIntegerField(db_default=1, default=1, help_text="1 to 100: this tenant's share of the workers beside others that have work as well.", validators=[django.core.validators.MinValueValidator(1), django.core.validators.MaxValueValidator(100)]),
        ),
        migrations.AddField(
            model_name='tenant',
            name='queue_limit',
            field=models.PositiveIntegerField(blank=True, help_text='Step runs that may be queued before a start is refused. Empty: SALLYPORT_QUEUE_LIMIT.', null=True, validators=[django.core.validators.MinValueValidator(1)]),
        ),
        migrations.AddConstraint(
            model_name='tenant',
            constraint=models.CheckConstraint(condition=models.Q(('dispatch_weight__gte', 1), ('dispatch_weight__lte', 100)), name='dispatch_weight_1_to_100'),
        ),
    ]
