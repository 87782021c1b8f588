from django.apps import AppConfig


class ManualConfig(AppConfig):
    name = "manual"
    default_auto_field = "django.db.models.BigAutoField"
