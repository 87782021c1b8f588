"""Executions in the admin: read everything, edit nothing; what may be done is done by the services."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from django import forms
from django.contrib import admin, messages
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME, ActionForm
from django.db.models import F, Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString

from accounts.selectors import actor_of_user
from core import strict_json
from core.actors import Actor
from core.errors import DomainError
from executions import payloads, services
from executions.engine.apart import Apart
from executions.gate_models import Breaker, Cap, Switch
from executions.models import Attempt, Event, Execution, Node, OutboxMessage, Review, StepRun, WebhookTarget
from playbooks.selectors import workflow_by_id

if TYPE_CHECKING:
    ModelAdmin = admin.ModelAdmin[Any]
    TabularInline = admin.TabularInline[Any, Any]
    TargetForm = forms.ModelForm[WebhookTarget]
else:
    ModelAdmin, TabularInline, TargetForm = admin.ModelAdmin, admin.TabularInline, forms.ModelForm


def coloured(status: str) -> SafeString:
    """Return the status with the class that ``executions/admin.css`` colours."""
    return format_html('<span class="status status-{}">{}</span>', status, status)


def pretty(value: Any) -> SafeString:
    return format_html("<pre>{}</pre>", json.dumps(value, indent=2, ensure_ascii=False, default=_as_text))


def _as_text(value: Any) -> str:
    if isinstance(value, Apart):
        return f"({value.size} octets, kept apart; SHA-256 {value.digest})"
    return str(value)


def link_to(row: Any, text: str) -> SafeString:
    url = reverse(f"admin:{row._meta.app_label}_{row._meta.model_name}_change", args=(row.pk,))
    return format_html('<a href="{}">{}</a>', url, text)


def name_of(row: StepRun) -> str:
    """Return the step's name, its id where it has none."""
    step = workflow_by_id(row.execution.version_id).steps.get(row.step_id)
    return (step.name if step else "") or row.step_id


class ReadOnly(ModelAdmin):
    """An edit here would bypass the engine."""

    show_full_result_count = False
    list_per_page = 50

    class Media:
        css = {"all": ("executions/admin.css",)}

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    @admin.display(description="status", ordering="status")
    def state(self, row: Any) -> SafeString:
        return coloured(row.status)


class ReadOnlyInline(TabularInline):
    extra = 0
    show_change_link = True

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


class StepRunInline(ReadOnlyInline):
    model = StepRun
    fk_name = "execution"
    fields = ("position", "step", "step_type", "state", "reason", "fence", "effect", "started_at", "ended_at")
    readonly_fields = fields
    ordering = ("position",)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        return super().get_queryset(request).select_related("execution")

    @admin.display(description="step")
    def step(self, row: StepRun) -> str:
        return name_of(row)

    @admin.display(description="status")
    def state(self, row: StepRun) -> SafeString:
        return coloured(row.status)


class AttemptInline(ReadOnlyInline):
    model = Attempt
    fields = ("number", "worker", "started_at", "ended_at", "outcome", "code", "message", "late_note")
    readonly_fields = fields
    ordering = ("number",)


@admin.register(Execution)
class ExecutionAdmin(ReadOnly):
    list_display = ("__str__", "state", "playbook", "reason", "created_at", "ended_at", "failed_steps", "tenant")
    list_filter = ("status", "dialect", "created_at", "tenant")
    search_fields = ("=id", "=number", "playbook__name", "playbook__slug", "playbook__cacao_id", "reason")
    list_select_related = ("playbook", "tenant")
    date_hierarchy = "created_at"
    ordering = ("-created_at", "id")
    inlines = (StepRunInline,)
    actions = ("cancel", "pause", "resume")
    fieldsets = (
        (None, {"fields": ("playbook", "version_link", "state", "reason", "message", "given", "started_by", "tenant")}),
        ("Times", {"fields": ("created_at", "started_at", "ended_at", "deadline_at", "events_link")}),
        (
            "Hold and stop",
            {"classes": ("collapse",), "fields": ("held_at", "held_by", "stop_as", "stop_reason", "stop_requested_at")},
        ),
        (
            "More",
            {
                "classes": ("collapse",),
                "fields": (
                    *("id", "dialect", "failed_steps", "exception_handled"),
                    *("step_runs_made", "depth", "parent_step_run", "again_of"),
                ),
            },
        ),
    )
    readonly_fields = ("id", "version_link", "state", "given", "started_by", "events_link")

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        _say_what_is_stopped(request)
        return super().changelist_view(request, extra_context)

    @admin.display(description="version")
    def version_link(self, row: Execution) -> SafeString:
        return link_to(row.version, f"{row.version.number}: {row.version.label}")

    @admin.display(description="inputs")
    def given(self, row: Execution) -> SafeString:
        return pretty(payloads.unpack(row.pk, row.inputs, depth=2))

    @admin.display(description="started by")
    def started_by(self, row: Execution) -> str:
        return f"{row.actor.get('kind', '')} {row.actor.get('name', '')}"

    @admin.display(description="events")
    def events_link(self, row: Execution) -> SafeString:
        url = reverse("admin:executions_event_changelist") + f"?execution__id__exact={row.pk}"
        return format_html('<a href="{}">{} events</a>', url, row.last_seq)

    @admin.action(description="Cancel", permissions=["steer"])
    def cancel(self, request: HttpRequest, rows: QuerySet[Execution]) -> None:
        self._steer(request, rows, services.cancel_execution, "cancelled")

    @admin.action(description="Pause", permissions=["steer"])
    def pause(self, request: HttpRequest, rows: QuerySet[Execution]) -> None:
        self._steer(request, rows, services.pause_execution, "held")

    @admin.action(description="Resume", permissions=["steer"])
    def resume(self, request: HttpRequest, rows: QuerySet[Execution]) -> None:
        self._steer(request, rows, services.resume_execution, "resumed")

    def has_steer_permission(self, request: HttpRequest) -> bool:
        return _actor(request).may("playbooks:execute")

    def _steer(
        self, request: HttpRequest, rows: QuerySet[Execution], steer: Callable[..., Execution], done: str
    ) -> None:
        for execution in rows:
            try:
                steer(execution=execution, actor=_actor(request), now=timezone.now())
            except DomainError as error:
                self.message_user(request, f"{execution}: {error.message}", messages.ERROR)
            else:
                self.message_user(request, f"{execution}: {done}", messages.SUCCESS)


@admin.register(StepRun)
class StepRunAdmin(ReadOnly):
    list_display = ("step", "execution", "state", "reason", "started_at", "ended_at", "effect", "fence", "worker")
    list_filter = ("status", "effect", "step_type", "kind")
    search_fields = ("=id", "=execution__id", "=execution__number", "step_id", "reason", "worker")
    list_select_related = ("execution",)
    ordering = ("-created_at", "-position")
    inlines = (AttemptInline,)
    fieldsets = (
        (None, {"fields": ("execution", "step", "step_id", "scope_path", "step_type", "state", "reason", "message")}),
        (None, {"fields": ("outcome", "chosen", "actor")}),
        ("Times", {"fields": ("created_at", "started_at", "ended_at", "due_at", "deadline_at", "delay")}),
        (
            "What is known of the outside world",
            {"fields": ("effect", "effective_class", "first_intent_at", "class_valid_until", "quarantine_until")},
        ),
        (
            "Delivery",
            {
                "classes": ("collapse",),
                "fields": (
                    *("id", "kind", "position", "fence", "intent_fence", "lease_until", "worker"),
                    *("published_at", "publications", "lost_attempts", "tries", "noted"),
                ),
            },
        ),
    )
    readonly_fields = ("id", "step", "state", "outcome", "chosen", "noted")

    @admin.display(description="step", ordering="step_id")
    def step(self, row: StepRun) -> str:
        return name_of(row)

    @admin.display(description="result")
    def outcome(self, row: StepRun) -> SafeString | str:
        return pretty(payloads.unpack(row.execution_id, row.result)) if row.result else "-"

    @admin.display(description="decision")
    def chosen(self, row: StepRun) -> SafeString | str:
        return pretty(row.verdict) if row.verdict else "-"

    @admin.display(description="note")
    def noted(self, row: StepRun) -> SafeString | str:
        return pretty(payloads.unpack(row.execution_id, row.note, depth=2)) if row.note else "-"


@admin.register(Attempt)
class AttemptAdmin(ReadOnly):
    list_display = ("step_run", "number", "worker", "outcome", "code", "started_at", "ended_at")
    list_filter = ("outcome",)
    search_fields = ("=step_run__id", "=step_run__execution__id", "worker", "code", "message")
    list_select_related = ("step_run",)
    ordering = ("-started_at", "-id")


@admin.register(Event)
class EventAdmin(ReadOnly):
    list_display = ("seq", "type", "execution", "at", "data")
    list_filter = ("type",)
    search_fields = ("=execution__id", "=execution__number", "=step_run_id", "type")
    list_select_related = ("execution",)
    ordering = ("-at", "-seq")


class HappenedForm(forms.Form):
    """What a person knows of a call that took place without an answer."""

    reason = forms.CharField(
        max_length=2_000,
        widget=forms.Textarea(attrs={"rows": 2}),
        help_text="What makes you sure. It is kept with your name.",
    )
    output = forms.CharField(
        required=False,
        strip=False,
        max_length=1_000_000,
        widget=forms.Textarea(attrs={"rows": 6, "spellcheck": "false"}),
        help_text="What the call gave: JSON, or text as it is. The step's variables are taken from it; leave it empty "
        "where it has none.",
    )

    def clean_output(self) -> Any:
        text = self.cleaned_data["output"]
        if not text.strip():
            return None
        try:
            return strict_json.loads(text.encode("utf-8", "replace"))
        except DomainError:
            return text


@admin.register(Review)
class ReviewAdmin(ReadOnly):
    """What nobody can know: resolved here by a person's word."""

    list_display = ("step", "execution", "status", "why", "opened_at", "resolution", "resolved_by")
    list_filter = ("status", "resolution", "opened_at")
    search_fields = ("=id", "=execution__id", "=step_run__id", "step_run__step_id", "why", "reason")
    list_select_related = ("execution", "step_run")
    ordering = ("status", "-opened_at")
    actions = ("it_happened", "try_again", "give_up")
    fieldsets = (
        (None, {"fields": ("step", "execution", "step_run", "status", "why", "opened_at", "again_from")}),
        ("What was to be called", {"fields": ("known",)}),
        ("Word", {"fields": ("resolution", "reason", "resolved_by", "resolved_at")}),
    )
    readonly_fields = ("step", "again_from", "known")

    @admin.display(description="trying again is possible from")
    def again_from(self, row: Review) -> Any:
        return row.step_run.quarantine_until or "-"

    @admin.display(description="calls")
    def known(self, row: Review) -> SafeString:
        return pretty(row.facts)

    @admin.display(description="step")
    def step(self, row: Review) -> str:
        return row.step_run.step_id

    @admin.action(description="It happened: the step is completed", permissions=["resolve"])
    def it_happened(self, request: HttpRequest, rows: QuerySet[Review]) -> TemplateResponse | None:
        """Ask for the output first: the step's variables are taken from it."""
        form = HappenedForm(request.POST if "apply" in request.POST else None)
        if form.is_bound and form.is_valid():
            given = form.cleaned_data
            self._resolve(request, rows, "happened", reason=given["reason"], output=given["output"])
            return None
        context = {
            **self.admin_site.each_context(request),
            "title": "It happened",
            "form": form,
            "rows": rows,
            "opts": self.model._meta,
            "chosen": request.POST.getlist(ACTION_CHECKBOX_NAME),
        }
        return TemplateResponse(request, "admin/executions/review/happened.html", context)

    @admin.action(description="It did not: try again", permissions=["resolve"])
    def try_again(self, request: HttpRequest, rows: QuerySet[Review]) -> None:
        self._resolve(request, rows, "again")

    @admin.action(description="Give up: the step is failed", permissions=["resolve"])
    def give_up(self, request: HttpRequest, rows: QuerySet[Review]) -> None:
        self._resolve(request, rows, "give_up")

    def has_resolve_permission(self, request: HttpRequest) -> bool:
        return _actor(request).may("approvals:decide")

    def _resolve(
        self,
        request: HttpRequest,
        rows: QuerySet[Review],
        resolution: str,
        *,
        reason: str = "resolved in the admin",
        output: Any = None,
    ) -> None:
        for review in rows:
            try:
                services.resolve_review(
                    review=review,
                    resolution=resolution,
                    reason=reason,
                    output=output,
                    actor=_actor(request),
                    now=timezone.now(),
                )
            except DomainError as error:
                self.message_user(request, f"{review}: {error.message}", messages.ERROR)
            else:
                self.message_user(request, f"{review}: {resolution}", messages.SUCCESS)


class WebhookTargetForm(TargetForm):
    url = forms.URLField(assume_scheme="https", max_length=2000)
    new_secret = forms.CharField(
        required=False,
        widget=forms.PasswordInput(render_value=False),
        help_text="Signs the webhooks (X-S4E-Signature). Leave it empty to keep the one that is stored.",
    )

    class Meta:
        model = WebhookTarget
        fields = ("tenant", "url", "allow_networks", "is_enabled")


@admin.register(WebhookTarget)
class WebhookTargetAdmin(ModelAdmin):
    form = WebhookTargetForm
    list_display = ("url", "tenant", "is_enabled", "is_signed")

    @admin.display(boolean=True, description="signed")
    def is_signed(self, row: WebhookTarget) -> bool:
        return bool(row.sealed_secret)

    def save_model(self, request: HttpRequest, obj: WebhookTarget, form: Any, change: bool) -> None:
        super().save_model(request, obj, form, change)
        if form.cleaned_data.get("new_secret"):
            services.set_webhook_secret(target=obj, secret=form.cleaned_data["new_secret"])

    list_filter = ("is_enabled", "tenant")
    search_fields = ("url",)


@admin.register(OutboxMessage)
class OutboxMessageAdmin(ReadOnly):
    list_display = ("event", "target", "created_at", "sent_at", "tries", "last_error")
    list_filter = ("event", "created_at")
    search_fields = ("=id", "last_error")
    list_select_related = ("target",)


@admin.register(Node)
class NodeAdmin(ReadOnly):
    list_display = ("name", "role", "pid", "slots", "started_at", "seen_at")
    list_filter = ("role",)


class LiftForm(ActionForm):
    reason = forms.CharField(required=False, max_length=2000, help_text="Why it is lifted.")


@admin.register(Switch)
class SwitchAdmin(ReadOnly):
    """What is on comes first. They are set by the API, with a reason."""

    list_display = ("__str__", "on", "tenant", "blocks_reads", "reason", "set_by", "set_at", "lifted_by", "lifted_at")
    list_filter = ("kind", "set_at", "tenant")
    search_fields = ("=id", "value", "label", "reason", "set_by", "lifted_by")
    list_select_related = ("tenant",)
    ordering = (F("lifted_at").desc(nulls_first=True), "-set_at", "-id")
    action_form = LiftForm
    actions = ("lift",)

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        _say_what_is_stopped(request)
        return super().changelist_view(request, extra_context)

    @admin.display(description="on", boolean=True)
    def on(self, row: Switch) -> bool:
        return row.is_on

    @admin.action(description="Lift: calls go on (give a reason)", permissions=["switch"])
    def lift(self, request: HttpRequest, rows: QuerySet[Switch]) -> None:
        for switch in rows:
            try:
                services.lift_switch(
                    switch=switch, reason=request.POST.get("reason", ""), actor=_actor(request), now=timezone.now()
                )
            except DomainError as error:
                self.message_user(request, f"{switch}: {error.message}", messages.ERROR)
            else:
                self.message_user(request, f"{switch}: lifted", messages.SUCCESS)

    def has_switch_permission(self, request: HttpRequest) -> bool:
        return _actor(request).may("settings:write")


@admin.register(Cap)
class CapAdmin(ReadOnly):
    list_display = ("__str__", "tenant", "most", "set_by", "set_at")
    list_filter = ("kind", "tenant")
    search_fields = ("=id", "value", "label", "set_by")
    list_select_related = ("tenant",)
    ordering = ("-set_at", "-id")


@admin.register(Breaker)
class BreakerAdmin(ReadOnly):
    list_display = ("connection", "tenant", "state", "failures", "last_code", "last_failure_at", "opened_at", "next_at")
    list_filter = ("state", "tenant")
    search_fields = ("connection__name", "=connection__id", "last_code")
    list_select_related = ("connection", "tenant")
    ordering = ("-last_failure_at",)
    actions = ("close_by_hand",)

    @admin.action(description="Close: calls are made at once", permissions=["switch"])
    def close_by_hand(self, request: HttpRequest, rows: QuerySet[Breaker]) -> None:
        for breaker in rows:
            try:
                services.close_breaker(breaker=breaker, actor=_actor(request))
            except DomainError as error:
                self.message_user(request, f"{breaker.connection}: {error.message}", messages.ERROR)
            else:
                self.message_user(request, f"{breaker.connection}: closed", messages.SUCCESS)

    def has_switch_permission(self, request: HttpRequest) -> bool:
        return _actor(request).may("settings:write")


def _say_what_is_stopped(request: HttpRequest) -> None:
    """A banner over the lists while a switch is on that the visitor's tenant feels."""
    if request.method != "GET":
        return
    rows, tenant = Switch.objects.filter(lifted_at=None), getattr(request.user, "tenant_id", None)
    if tenant is not None:
        rows = rows.filter(Q(tenant=tenant) | Q(tenant=None))
    named = [f"{switch} ({switch.reason[:80]})" for switch in rows.order_by("-set_at")[:10]]
    if named:
        messages.warning(request, f"Calls are stopped by kill switches: {'; '.join(named)}")


def _actor(request: HttpRequest) -> Actor:
    return actor_of_user(request.user)  # type: ignore[arg-type]  # the admin lets nobody else in
