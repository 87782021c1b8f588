from api.native import views
from api.routing import routes

urlpatterns = routes({"/api/native/setup": views.Setup})
