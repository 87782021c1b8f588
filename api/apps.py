from django.apps import AppConfig


class ApiConfig(AppConfig):
    name = "api"

    def ready(self) -> None:
        from api import checks, middleware, schema  # noqa: F401  (registers the start-up check and the schema extension)

        middleware.stamp_log_records()
