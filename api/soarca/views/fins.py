"""/fin: fins register, fetch jobs and report; people look at them and take them out."""

from __future__ import annotations

import functools
import hmac
from collections.abc import Awaitable, Callable
from typing import Any, Final
from uuid import UUID

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from drf_spectacular.utils import extend_schema

from accounts.selectors import Caller, open_caller
from api import clock
from api.base import Body, FamilyRequest, Kind, Refusal, Response
from api.permissions import PUBLIC
from api.soarca import ids, inputs_fins, outputs_fins, schema_fins, waiting
from api.soarca.errors import OPEN_NAME, SoarcaView
from api.soarca.fin_access import MALFORMED, FinTokens, FinView, fin_of, is_fin_token
from connectors.fin import selectors, services
from executions.services import fin_jobs

#: where a poll that found nothing leaves the tenant it is to wait for
_TENANT: Final = "sallyport.fin_tenant"


class FinRegister(SoarcaView):
    """POST /fin/register"""

    permissions = {"POST": PUBLIC}

    def get_authenticators(self) -> list[Any]:
        return []  # the token of the body is what counts

    @extend_schema(
        operation_id="soarca_register_fin",
        request=schema_fins.FinRegistration,
        responses={201: schema_fins.FinRegistered},
    )
    def post(self, request: FamilyRequest) -> Response:
        """Register a fin with the tenant whose registration token it shows."""
        token, name, version, capabilities = inputs_fins.read_registration(request.data)
        fin, fin_token = services.register_http(
            tenant_id=_tenant_of(token),
            display_name=name,
            protocol_version=version,
            capabilities=capabilities,
            now=request.now,
        )
        return Response(outputs_fins.registered(fin, fin_token), status=201)


def _tenant_of(token: str) -> UUID:
    """Return the tenant that the token belongs to: one of the admin's, or the open tenant's of the environment."""
    slug, configured = settings.SALLYPORT_SOARCA_OPEN_TENANT, settings.FIN_REGISTRATION_TOKEN
    if slug and configured and hmac.compare_digest(token.encode(), configured.encode()):
        opened = open_caller(slug, permissions=(), name=OPEN_NAME)
        if opened is not None:
            return opened.tenant.pk
    found = selectors.tenant_of_registration(token)
    if found is not None:
        return found
    if not (slug and configured) and not selectors.is_registration_possible():
        raise Refusal(Kind.UNAVAILABLE, "No registration token is configured.", retry_after=60)
    raise Refusal(Kind.FORBIDDEN, "The registration token is not valid.")


class FinPoll(FinView):
    """POST /fin/poll: answers as soon as there is a job, or 204 when the time is over."""

    permissions = {"POST": PUBLIC}
    bodies = {"POST": Body.OPTIONAL}

    @extend_schema(
        operation_id="soarca_poll_jobs",
        request=schema_fins.FinPoll,
        responses={200: schema_fins.FinPolled, 204: schema_fins.NOTHING},
    )
    def post(self, request: FamilyRequest) -> HttpResponse:
        """Fetch a job; waits for one as long as the registration said."""
        inputs_fins.check_poll(request.data)
        fin = fin_of(request)
        if _TENANT not in request._request.META:
            fin_jobs.take_back_lost()
        handed = fin_jobs.take_job(fin=fin)
        if handed is not None:
            return Response({"job": outputs_fins.job(handed)})
        request._request.META[_TENANT] = fin.tenant_id
        return HttpResponse(status=204)

    @classmethod
    def as_view(cls, **initkwargs: Any) -> Callable[..., Awaitable[HttpResponse]]:  # type: ignore[override]
        """The view as a coroutine, so that a fin that waits keeps no thread."""
        look = super().as_view(**initkwargs)

        @functools.wraps(look)
        async def poll(request: HttpRequest) -> HttpResponse:
            first: HttpResponse = await waiting.in_thread(lambda: _rendered(look(request)))
            if first.status_code != 204:
                return first
            found = await waiting.until_found(
                lambda: _found(_rendered(look(request))),
                tenant_id=request.META[_TENANT],
                seconds=settings.FIN_LONG_POLL_TIMEOUT.total_seconds(),
            )
            return first if found is None else found

        return poll

    def limits(self, request: FamilyRequest) -> tuple[Any, ...]:
        """A poll counts once, however often it looks."""
        return () if _TENANT in request._request.META else super().limits(request)


def _rendered(response: Any) -> HttpResponse:
    found: HttpResponse = response.render() if hasattr(response, "render") else response
    return found


def _found(response: HttpResponse) -> HttpResponse | None:
    return None if response.status_code == 204 else response


class FinJobStatus(FinView):
    """PATCH /fin/jobs/{job_id}/status"""

    permissions = {"PATCH": PUBLIC}
    bodies = {"PATCH": Body.OPTIONAL}

    @extend_schema(operation_id="soarca_keep_job", request=schema_fins.FinProgress, responses=schema_fins.FinAction)
    def patch(self, request: FamilyRequest, job: str) -> Response:
        """Extend the lease of a job. `action` is `cancel` once nobody waits for its result."""
        job_id = ids.execution_id(job, field="job id")
        progress = inputs_fins.read_progress(request.data)
        return Response({"action": fin_jobs.keep_alive(fin=fin_of(request), job_id=job_id, progress=progress)})


class FinJob(FinView):
    """PUT /fin/jobs/{job_id}"""

    permissions = {"PUT": PUBLIC}

    @extend_schema(
        operation_id="soarca_report_job", request=schema_fins.FinResult, responses={204: schema_fins.NOTHING}
    )
    def put(self, request: FamilyRequest, job: str) -> HttpResponse:
        """Report the result of a job. The same result again changes nothing."""
        job_id = ids.execution_id(job, field="job id")
        report = inputs_fins.read_report(request.data)
        fin_jobs.record_report(fin=fin_of(request), job_id=job_id, report=report)
        return HttpResponse(status=204)


class FinOrCaller(SoarcaView):
    """A path that fins and people share: a fin shows its token, everybody else a key."""

    def get_authenticators(self) -> list[Any]:
        if self.request is not None and self.request.method == "DELETE" and is_fin_token(self.request):
            return [FinTokens()]
        return super().get_authenticators()


class Fins(FinOrCaller):
    """GET and DELETE /fin"""

    permissions = {"GET": "fins:read", "DELETE": PUBLIC}

    @extend_schema(operation_id="soarca_list_fins", responses=schema_fins.FinList)
    def get(self, request: FamilyRequest) -> Response:
        """List the registered fins, the newest first."""
        return Response(outputs_fins.listed(list(selectors.list_fins(request.tenant)), now=request.now))

    @extend_schema(operation_id="soarca_unregister_self", responses={204: schema_fins.NOTHING})
    def delete(self, request: FamilyRequest) -> HttpResponse:
        """Unregister the fin whose token this is."""
        if not is_fin_token(request._request):
            raise Refusal(Kind.UNAUTHORIZED, MALFORMED)
        services.unregister(fin=fin_of(request), now=clock.database_now())
        return HttpResponse(status=204)


class OneFin(FinOrCaller):
    """GET and DELETE /fin/{fin_id}"""

    permissions = {"GET": "fins:read", "DELETE": PUBLIC}

    @extend_schema(operation_id="soarca_get_fin", responses=schema_fins.FinShown)
    def get(self, request: FamilyRequest, fin: UUID) -> Response:
        """Return one registered fin."""
        return Response(outputs_fins.fin(selectors.get_fin(request.tenant, fin), now=request.now))

    @extend_schema(operation_id="soarca_unregister_fin", responses={204: schema_fins.NOTHING})
    def delete(self, request: FamilyRequest, fin: UUID) -> HttpResponse:
        """Unregister a fin: itself with its own token, any of the tenant with `fins:admin`."""
        if is_fin_token(request._request):
            found = fin_of(request)
            if found.pk != fin:
                raise Refusal(Kind.FORBIDDEN, "A fin unregisters itself only.")
        else:
            _check_admin(request)
            found = selectors.get_fin(request.tenant, fin)
        services.unregister(fin=found, now=clock.database_now())
        return HttpResponse(status=204)


def _check_admin(request: FamilyRequest) -> None:
    caller = request.auth
    if not isinstance(caller, Caller) or caller.actor.id == OPEN_NAME:
        raise Refusal(Kind.UNAUTHORIZED)
    if not caller.actor.may("fins:admin"):
        raise Refusal(Kind.FORBIDDEN, "This needs the permission fins:admin.")
