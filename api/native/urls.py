from api.native.views import setup
from api.routing import routes

urlpatterns = routes(
    {
        "/api/native/setup": setup.Setup,
    }
)
