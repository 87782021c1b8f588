import django.core.validators
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('accounts', '0003_four_eyes'),
    ]

    operations = [
        migrations.AddField(
            model_name='tenant',
            name='keep_days',
            field=models.PositiveIntegerField(blank=True, help_text='Days that an execution is kept after its end, with its steps, events, answers and reviews; then all of it is deleted for good. Empty: kept for ever.', null=True, validators=[django.core.validators.MinValueValidator(1), django.core.validators.MaxValueValidator(36500)]),
        ),
        migrations.AddConstraint(
            model_name='tenant',
            constraint=models.CheckConstraint(condition=models.Q(('keep_days__gte', 1)), name='keep_days_1_or_more'),
        ),
    ]
