from api.native.views import setup, switches
from api.routing import routes

urlpatterns = routes(
    {
        "/api/native/setup": setup.Setup,
        "/api/native/switches": switches.Switches,
        "/api/native/switches/<uuid:switch>": switches.SwitchDetail,
        "/api/native/switches/<uuid:switch>/lift": switches.SwitchLift,
        "/api/native/caps": switches.Caps,
        "/api/native/caps/<uuid:cap>": switches.CapDetail,
        "/api/native/breakers": switches.Breakers,
        "/api/native/breakers/<str:connection>": switches.BreakerDetail,
        "/api/native/breakers/<str:connection>/close": switches.BreakerClose,
    }
)
