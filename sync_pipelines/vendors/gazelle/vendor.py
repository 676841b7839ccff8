"""Gazelle for the rest of the product: how to open an account, and how to tell whether it works."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

import httpx

from sync_pipelines.core.answers import Response
from sync_pipelines.core.budget import BucketSpec, Budget, Lane
from sync_pipelines.core.errors import ConfigError, RemoteError
from sync_pipelines.core.http import HeaderKey, HttpClient
from sync_pipelines.core.jsons import Json
from sync_pipelines.core.oauth import OAuthRefresh, TokenAnswer, form_request, parse_rfc6749
from sync_pipelines.core.vendor import AccountContext, CheckItem, Vendor
from sync_pipelines.vendors.gazelle import selections, streams
from sync_pipelines.vendors.gazelle.client import BUCKET, GazelleClient, PageSizes
from sync_pipelines.vendors.gazelle.drift import missing_fields, new_words
from sync_pipelines.vendors.gazelle.graphql import QueryRefusedError, classifier
from sync_pipelines.vendors.gazelle.nightly import next_night
from sync_pipelines.vendors.gazelle.reader import Reader
from sync_pipelines.vendors.gazelle.settings import TOKEN_PATH, Settings

API_KEY_HEADER = "x-gazelle-api-key"


def connect(context: AccountContext) -> Reader:
    """Opens an account; runs in the backfill lane read thoroughly.

    Raises:
        ConfigError: Neither an API key nor a whole set of OAuth credentials is there.
    """
    settings = context.settings
    budget = Budget(context.database, context.id, context.lane, [BucketSpec.paced(BUCKET, per_second=settings.requests_per_second)])
    http = HttpClient(
        account=context.id,
        base_url=context.base_url,
        budget=budget,
        auth=_auth(context),
        default_buckets=(BUCKET,),
        classify=classifier(context.id),
    )
    client = GazelleClient(
        http,
        account=context.id,
        sizes=PageSizes(settings.page_size, settings.lean_page_size, settings.nested_page_size),
        without=settings.without_fields,
    )
    is_thorough = context.lane is Lane.BACKFILL
    return Reader(client, database=context.database, account=context.id, settings=settings, is_thorough=is_thorough)


def token_url(context: AccountContext) -> str:
    """Where tokens are granted."""
    return context.auth_url or context.base_url.rstrip("/") + TOKEN_PATH


def _auth(context: AccountContext) -> httpx.Auth:
    credentials = context.credentials
    if credentials.get("api_key"):
        return HeaderKey(API_KEY_HEADER, credentials["api_key"])
    missing = [name for name in ("client_id", "client_secret", "refresh_token") if not credentials.get(name)]
    if missing:
        raise ConfigError(
            f"{context.id}: credentials need api_key, or client_id, client_secret and refresh_token; missing: {', '.join(missing)}."
            " `sync-pipelines gazelle authorize` obtains a refresh token",
            account=context.id,
        )
    if context.secrets is None:
        raise ConfigError(
            f"{context.id}: the refresh token changes with every use and is kept encrypted; set SYNC_PIPELINES_MASTER_KEY"
            " (`sync-pipelines secrets new-key` makes one)",
            account=context.id,
        )
    fields = {"client_id": credentials["client_id"], "client_secret": credentials["client_secret"]}
    return OAuthRefresh(
        account=context.id,
        database=context.database,
        secrets=context.secrets,
        refresh_token=credentials["refresh_token"],
        build_request=form_request(token_url(context), fields),
        parse=lambda response: _granted(response, context.settings.refresh_token_life),
    )


def _granted(response: Response, refresh_token_life: timedelta) -> TokenAnswer:
    """The grant, with the life of a new refresh token assumed where the vendor does not say it, so that its end is seen coming."""
    answer = parse_rfc6749(response)
    if answer.refresh_token is None or answer.refresh_expires_in_s is not None:
        return answer
    return replace(answer, refresh_expires_in_s=refresh_token_life.total_seconds())


def check(reader: Reader) -> list[CheckItem]:
    """Tries the credentials and compares our field selections with the live schema."""
    try:
        reader.client.plain(selections.USERS)
    except RemoteError as error:
        return [CheckItem("credentials", is_ok=False, detail=str(error))]
    items = [CheckItem("credentials", is_ok=True, detail="the users of the business can be read")]
    try:
        schema = reader.client.schema()
    except QueryRefusedError:
        return items + _probe(reader)
    lost = missing_fields(schema)
    surprises = [name for name in lost if name not in selections.LATER_FIELDS]
    detail = f"not in the live schema, left out: {', '.join(lost)}" if lost else "every field we ask for exists"
    items.append(CheckItem("field selections", is_ok=not surprises, detail=detail))
    words = new_words(schema)
    items.append(CheckItem("vocabularies", is_ok=True, detail=f"new at the vendor: {', '.join(words)}" if words else "as known"))
    return items


def _probe(reader: Reader) -> list[CheckItem]:
    """Without introspection: asks each list for one record, and sees what the server refuses."""
    items = [CheckItem("introspection", is_ok=True, detail="not allowed for this account; every query is tried instead")]
    listings = (selections.CLIENTS, selections.CONTACTS, selections.PIANOS, selections.EVENTS, selections.TIMELINE)
    for listing in listings:
        arguments: dict[str, Json] = {"filters": {}} if listing is selections.EVENTS else {}
        for fragment in filter(None, (listing.full, listing.lean)):
            variables = {"first": 1, "nested": 1, **arguments}
            try:
                reader.client.probe(listing.query(fragment), variables)
            except RemoteError as error:
                items.append(CheckItem(f"{listing.root} ({fragment})", is_ok=False, detail=str(error)))
    lost = reader.client.dropped
    surprises = [name for name in lost if name not in selections.LATER_FIELDS]
    detail = f"refused by the server, left out: {', '.join(lost)}" if lost else "every field we ask for exists"
    return [*items, CheckItem("field selections", is_ok=not surprises, detail=detail)]


def _next_beat(_stream: str, _account: str, settings: Settings, after: datetime) -> datetime:
    return next_night(after, settings.zone)


VENDOR = Vendor(name="gazelle", streams=streams.STREAMS, connect=connect, check=check, next_beat=_next_beat)
