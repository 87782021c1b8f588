"""Every path of this family, printed whole."""

from __future__ import annotations

from django.urls import URLPattern

from api.olorin import ids  # noqa: F401  (registers the converters)
from api.olorin.views import actions, connections, playbooks
from api.routing import routes

urlpatterns: list[URLPattern] = routes(
    {
        "/api/soar/playbooks/execute": playbooks.PlaybookExecute,
        "/api/soar/playbooks/executions/<olorin_segment:execution>": playbooks.ExecutionDetail,
        "/api/composio/soar-action": actions.SoarAction,
        "/api/composio/connect/<olorin_slug:toolkit>": connections.Connect,
        "/api/composio/callback": connections.Callback,
        "/api/composio/connections": connections.Connections,
        "/api/composio/connections/<olorin_segment:connection>": connections.ConnectionDetail,
        "/api/composio/test-connection/<olorin_segment:connection>": connections.ConnectionTest,
    }
)
