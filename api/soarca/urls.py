"""Every path of this family, printed whole."""

from __future__ import annotations

from django.urls import URLPattern

from api.routing import routes
from api.soarca import ids  # noqa: F401  (registers the converters)
from api.soarca.views import fins, keys, manual, playbooks, reporter, status, trigger

urlpatterns: list[URLPattern] = routes(
    {
        "/manual": manual.ManualSteps,
        "/manual/continue": manual.ManualContinue,
        "/manual/<soarca_segment:execution>/<soarca_segment:step>": manual.ManualStep,
        "/playbook": playbooks.Playbooks,
        "/playbook/meta": playbooks.PlaybooksMeta,
        "/playbook/<soarca_playbook:playbook>": playbooks.StoredPlaybook,
        "/trigger/playbook": trigger.TriggerPlaybook,
        "/trigger/playbook/<soarca_playbook:playbook>": trigger.TriggerStoredPlaybook,
        "/reporter": reporter.Reports,
        "/reporter/<soarca_segment:execution>": reporter.Report,
        "/status": status.Status,
        "/status/ping": status.Ping,
        "/keymanagement": keys.Keys,
        "/keymanagement/<soarca_slug:name>": keys.Key,
        "/fin": fins.Fins,
        "/fin/register": fins.FinRegister,
        "/fin/poll": fins.FinPoll,
        "/fin/jobs/<soarca_segment:job>": fins.FinJob,
        "/fin/jobs/<soarca_segment:job>/status": fins.FinJobStatus,
        "/fin/<soarca_uuid:fin>": fins.OneFin,
    }
)
