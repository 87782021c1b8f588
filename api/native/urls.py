from api.native import ids as ids  # registers the converters
from api.native.views import approvals, connections, events, executions, hooks, queue, reviews, setup, triggers
from api.routing import routes

urlpatterns = routes(
    {
        "/api/native/setup": setup.Setup,
        "/api/native/executions": executions.Executions,
        "/api/native/executions/<native_execution:execution>": executions.ExecutionDetail,
        "/api/native/executions/<native_execution:execution>/steps": executions.ExecutionSteps,
        "/api/native/executions/<native_execution:execution>/events": executions.ExecutionEvents,
        "/api/native/executions/<native_execution:execution>/pause": executions.ExecutionPause,
        "/api/native/executions/<native_execution:execution>/resume": executions.ExecutionResume,
        "/api/native/executions/<native_execution:execution>/cancel": executions.ExecutionCancel,
        "/api/native/executions/<native_execution:execution>/run-again": executions.ExecutionRunAgain,
        "/api/native/reviews": reviews.Reviews,
        "/api/native/reviews/<native_uuid:review>": reviews.ReviewDetail,
        "/api/native/reviews/<native_uuid:review>/resolve": reviews.ReviewResolve,
        "/api/native/connections": connections.Connections,
        "/api/native/connections/<native_uuid:connection>": connections.ConnectionDetail,
        "/api/native/connections/<native_uuid:connection>/secrets/<native_word:field>": connections.ConnectionSecret,
        "/api/native/queue": queue.Queue,
        "/api/native/events": events.Events,
        "/api/native/hooks/<str:trigger>": hooks.Hook,
        "/api/native/triggers": triggers.Triggers,
        "/api/native/triggers/preview": triggers.TriggerPreview,
        "/api/native/triggers/<native_uuid:trigger>": triggers.TriggerDetail,
        "/api/native/triggers/<native_uuid:trigger>/rotate-secret": triggers.TriggerSecret,
        "/api/native/triggers/<native_uuid:trigger>/fire": triggers.TriggerFire,
        "/api/native/approvals": approvals.Approvals,
        "/api/native/approvals/<native_uuid:approval>": approvals.Approval,
        "/api/native/approvals/<native_uuid:approval>/vote": approvals.ApprovalVote,
        "/api/native/approval-policies": approvals.Policies,
        "/api/native/approval-policies/<native_uuid:policy>": approvals.Policy,
    }
)
