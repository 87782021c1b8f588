"""What is done with a message of a fin, in one thread with a database connection of its own."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final
from uuid import UUID, uuid4

from django.db import Error

from api.soarca.mqtt import messages
from api.soarca.mqtt.messages import OURS, Message, Unreadable
from connectors.fin import services
from connectors.fin.models import Fin, FinCapability
from connectors.fin.services import CapabilityTaken
from core.clock import database_now
from executions.services import fin_jobs, fin_messages

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Publication:
    topic: str
    body: Mapping[str, Any] = field(repr=False)


class Handler:
    """Speaks for one tenant, since fins over MQTT bring no credentials. Not to be called from two threads at once."""

    def __init__(self, tenant_id: UUID) -> None:
        self.tenant_id = tenant_id
        #: message id of an ``unregister`` that we sent -> the fin it was for
        self._leaving: dict[str, UUID] = {}

    def topics(self) -> set[str]:
        """Return where fins speak to us: the common topic, and each fin's and capability's own."""
        fins = Fin.objects.filter(tenant_id=self.tenant_id, transport="mqtt").prefetch_related("capabilities")
        return {OURS} | {topic for fin in fins for topic in (fin.name, *(c.key for c in fin.capabilities.all()))}

    def due(self) -> list[Publication]:
        """Return what is to be published now: commands, and farewells to fins that were unregistered."""
        fin_jobs.take_back_lost()
        services.forget_removed(tenant_id=self.tenant_id, now=database_now())
        farewells = [self._farewell(fin) for fin in self._removed()]
        commands = fin_messages.commands_to_send(self.tenant_id)
        return farewells + [Publication(each.handed.job.capability, messages.command(each)) for each in commands]

    def _removed(self) -> list[Fin]:
        told = self._leaving.values()
        found = Fin.objects.filter(tenant_id=self.tenant_id, transport="mqtt", removed_at__isnull=False)
        return list(found.exclude(pk__in=told))

    def _farewell(self, fin: Fin) -> Publication:
        message_id = str(uuid4())
        self._leaving[message_id] = fin.pk
        return Publication(fin.name, messages.unregister(message_id, fin_id=fin.name))

    def handle(self, topic: str, octets: bytes) -> list[Publication]:
        """Return the answers to a message. What is none of the protocol is refused, or dropped where it has no id.

        Raises what a database that is away raises; no message ends the bridge otherwise.
        """
        try:
            message = messages.read(octets)
        except Unreadable as error:
            return _refused(error, OURS)
        try:
            return _HANDLERS.get(message.type, _unknown)(self, topic, message)
        except Unreadable as error:
            return _refused(error, error.fin_id or topic)
        except Error:
            raise
        except Exception:
            log.exception("fins.message_broken", extra={"type": message.type[:40]})
            return []

    def register(self, topic: str, message: Message) -> list[Publication]:
        if topic != OURS:
            return []
        given = messages.read_registration(message)
        try:
            services.register_mqtt(
                tenant_id=self.tenant_id,
                name=given.fin_id,
                display_name=given.name,
                protocol_version=given.protocol_version,
                capabilities=given.capabilities,
                now=database_now(),
            )
        except CapabilityTaken as error:
            log.warning("fins.refused", extra={"fin": given.fin_id, "why": error.message})
            return [Publication(given.fin_id, messages.nack(message.message_id))]
        return [Publication(given.fin_id, messages.ack(message.message_id))]

    def acknowledge(self, topic: str, message: Message) -> list[Publication]:
        """A fin acknowledges a command on its capability's topic, and a farewell on ours."""
        leaving = self._leaving.pop(message.message_id, None)
        if leaving is not None:
            Fin.objects.filter(pk=leaving, removed_at__isnull=False).delete()
        elif topic != OURS:
            self._seen(topic)
            fin_messages.note_ack(tenant_id=self.tenant_id, capability=topic, message_id=message.message_id)
        return []

    def refuse(self, topic: str, message: Message) -> list[Publication]:
        if topic != OURS:
            fin_messages.note_refused(tenant_id=self.tenant_id, capability=topic, message_id=message.message_id)
        return []

    def result(self, topic: str, message: Message) -> list[Publication]:
        """Taken once, and acknowledged each time: the fin sends it again until it hears that it was taken."""
        answer = messages.read_answer(message)
        self._seen(topic)
        fin_messages.record_answer(tenant_id=self.tenant_id, capability=topic, answer=answer)
        return [Publication(topic, messages.ack(message.message_id))]

    def leave(self, topic: str, message: Message) -> list[Publication]:
        """A fin goes, or takes one of its capabilities out."""
        capability_id, fin_id = message.body.get("capability_id"), message.body.get("fin_id")
        capability = self._capability(capability_id) if isinstance(capability_id, str) else None
        if capability is not None:
            services.drop_capability(capability=capability)
            return [Publication(capability.fin.name, messages.ack(message.message_id))]
        named = fin_id if isinstance(fin_id, str) else topic
        fin = Fin.objects.filter(tenant_id=self.tenant_id, transport="mqtt", name=named).first()
        if fin is None:
            where = named if messages.is_topic(named) else OURS
            return [Publication(where, messages.nack(message.message_id))]
        services.forget(fin=fin)
        return [Publication(fin.name, messages.ack(message.message_id))]

    def control(self, topic: str, message: Message) -> list[Publication]:
        """A fin pauses, resumes or stops one of its capabilities, or asks how we see it."""
        capability_id = message.body.get("capability_id")
        capability = self._capability(capability_id) if isinstance(capability_id, str) else None
        if capability is None:
            return [Publication(topic, messages.nack(message.message_id))]
        fin = capability.fin
        services.note_seen(fin=fin, now=database_now())
        if message.type == "stop":
            services.drop_capability(capability=capability)
        elif message.type in ("pause", "resume"):
            capability.is_paused = message.type == "pause"
            services.set_paused(capability=capability, paused=capability.is_paused)
        answer = messages.status(message.message_id, capability.key, progress=_progress(capability, message.type))
        return [Publication(fin.name, answer)]

    def _seen(self, topic: str) -> None:
        found = self._capability(topic)
        if found is not None:
            services.note_seen(fin=found.fin, now=database_now())

    def _capability(self, key: str) -> FinCapability | None:
        return fin_messages.capability_of(self.tenant_id, key)


def _progress(capability: FinCapability, asked: str) -> str:
    if asked == "stop":
        return "stopped"
    if capability.is_paused:
        return "paused"
    return "working" if fin_messages.is_working(capability) else "ready"


def _refused(error: Unreadable, topic: str) -> list[Publication]:
    log.warning("fins.unreadable", extra={"topic": topic, "why": error.message})
    return [Publication(topic, messages.nack(error.message_id))] if error.message_id else []


def _unknown(handler: Handler, topic: str, message: Message) -> list[Publication]:
    """What we say ourselves comes back where a broker knows no no-local; and words that we do not know."""
    if message.type in ("command", "status"):
        return []
    return [Publication(topic, messages.nack(message.message_id))]


_HANDLERS: Final[Mapping[str, Callable[[Handler, str, Message], list[Publication]]]] = {
    "register": Handler.register,
    "ack": Handler.acknowledge,
    "nack": Handler.refuse,
    "result": Handler.result,
    "unregister": Handler.leave,
    **dict.fromkeys(messages.CONTROLS, Handler.control),
}
