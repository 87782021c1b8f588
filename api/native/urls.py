from api.native.views import approvals, setup
from api.routing import routes

urlpatterns = routes(
    {
        "/api/native/setup": setup.Setup,
        "/api/native/approvals": approvals.Approvals,
        "/api/native/approvals/<uuid:approval>": approvals.Approval,
        "/api/native/approvals/<uuid:approval>/vote": approvals.ApprovalVote,
        "/api/native/approval-policies": approvals.Policies,
        "/api/native/approval-policies/<uuid:policy>": approvals.Policy,
    }
)
