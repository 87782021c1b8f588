from api.native.views import events, hooks, setup, triggers
from api.routing import routes

urlpatterns = routes(
    {
        "/api/native/setup": setup.Setup,
        "/api/native/events": events.Events,
        "/api/native/hooks/<str:trigger>": hooks.Hook,
        "/api/native/triggers": triggers.Triggers,
        "/api/native/triggers/preview": triggers.TriggerPreview,
        "/api/native/triggers/<uuid:trigger>": triggers.TriggerDetail,
        "/api/native/triggers/<uuid:trigger>/rotate-secret": triggers.TriggerSecret,
        "/api/native/triggers/<uuid:trigger>/fire": triggers.TriggerFire,
    }
)
