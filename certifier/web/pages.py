"""The pages: addresses, what each shows, and what an unknown address gets."""

from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path
from typing import Any, Final

import jinja2
import segno
from fastapi import APIRouter, FastAPI, Request, Response
from fastapi.responses import HTMLResponse
from fastapi.staticfiles import StaticFiles
from markupsafe import Markup
from sqlalchemy import Connection
from starlette.exceptions import HTTPException

from certifier import certificates, districts, indicators, queries
from certifier.queries import NotFound
from certifier.store import Store
from certifier.views import Indicator
from certifier.web import charts, figures, market_pages, words, year

FOLDER: Final = Path(__file__).parent


class Pages:
    """Renders pages from a projection; `public_url` is the address under which people reach them."""

    def __init__(
        self, store: Store, public_url: str, docs_url: str, bundle_url: Callable[[int], str]
    ) -> None:
        self._store = store
        self._public_url = public_url.rstrip("/")
        self._docs_url = docs_url
        self._bundle_url = bundle_url
        self._templates = _environment()
        self._indicators = _Indicators()

    def districts(self) -> HTMLResponse:
        """Overview of all districts."""
        with self._store.read() as connection:
            return self.render(
                connection,
                "districts.html",
                districts=districts.districts_overview(connection),
                bound_bar=charts.bound_bar,
            )

    def district(self, district_id: str, assessment: str | None, day: str | None) -> HTMLResponse:
        """A district's year, and one of its days."""
        with self._store.read() as connection:
            try:
                found = districts.district(connection, district_id)
            except NotFound as problem:
                return self.not_found(connection, problem)
            overview = found.overview
            ids = [item.assessment_id for item in found.assessments]
            if assessment is not None and assessment not in ids:
                return self.not_found(connection, NotFound(f"assessment of {district_id}", assessment))
            assessment_id = assessment or overview.assessment_id
            if assessment is not None:
                shown = next(item for item in found.assessments if item.assessment_id == assessment)
                overview = overview.model_copy(
                    update={
                        "assessment_id": shown.assessment_id,
                        "scheme_id": shown.scheme_id,
                        "vintage_id": shown.vintage_id,
                        "latest_verdict": shown.latest_verdict,
                    }
                )
            span = year.shown_days(connection, district_id, assessment_id) if assessment_id else None
            content: dict[str, Any] = {}
            if assessment_id and span:
                chosen = _chosen_day(day, span)
                if chosen is None:
                    return self.not_found(
                        connection, NotFound("day (write it as 2019-03-31)", day), status_code=400
                    )

                def link(target: date) -> str:
                    which = f"&assessment={assessment}" if assessment else ""
                    return f"?day={target.isoformat()}{which}#day"

                content = {
                    "year": year.year(connection, district_id, assessment_id, link, chosen, span),
                    "day": year.day(connection, district_id, assessment_id, chosen),
                    "indicators": self._indicators.read(connection, assessment_id, span),
                    "indicator_span": f"{figures.day_text(queries.to_date(span[0]))} to "
                    f"{figures.day_text(queries.to_date(span[1] - 1))}",
                }
            return self.render(
                connection,
                "district.html",
                overview=overview,
                assessments=found.assessments,
                chosen_assessment=assessment,
                points=found.points,
                member_count=sum(1 for point in found.points if point.private),
                **content,
            )

    def certificate(self, number: int) -> HTMLResponse:
        """A certificate with its history, and how to check it."""
        with self._store.read() as connection:
            try:
                found = certificates.certificate(connection, number)
                history = certificates.history(connection, number)
            except NotFound as problem:
                return self.not_found(connection, problem)
            url = f"{self._public_url}/certificates/{number}"
            code = segno.make(url, error="m").svg_inline(omitsize=True, border=1, title=f"QR code of {url}")
            return self.render(
                connection,
                "certificate.html",
                certificate=found,
                history=history,
                challenge=words.challenge_words(history),
                url=url,
                qr=Markup(code),
                bundle_url=self._bundle_url(number),
                bundle_name=f"certificate-{number}.json",
                bound_bar=charts.bound_bar,
            )

    def missing(self, what: str) -> HTMLResponse:
        """What a person gets at an address that names nothing."""
        with self._store.read() as connection:
            return self.not_found(connection, NotFound("page", what))

    def not_found(self, connection: Connection, problem: NotFound, status_code: int = 404) -> HTMLResponse:
        """What a person gets who asks for something that is not known."""
        return self.render(
            connection,
            "error.html",
            status_code=status_code,
            title="Not found" if status_code == 404 else "This cannot be shown",
            detail=f"There is no {problem.what} “{problem.name}” here, as far as the chain has been read.",
        )

    def render(
        self, connection: Connection, template: str, status_code: int = 200, **content: Any
    ) -> HTMLResponse:
        """A page from its template."""
        html = self._templates.get_template(template).render(
            base="",
            docs=self._docs_url,
            alarms=queries.alarms(connection),
            status=queries.status(connection),
            **content,
        )
        return HTMLResponse(html, status_code=status_code, headers=_HEADERS)


class _Indicators:
    """Indicators of whole years, computed once per revision of the projection: they take a second."""

    def __init__(self) -> None:
        self._revision = ""
        self._known: dict[tuple[str, int, int], list[Indicator]] = {}

    def read(self, connection: Connection, assessment_id: str, span: tuple[int, int]) -> list[Indicator]:
        """Indicators of an assessment over a span of days."""
        revision = queries.revision(connection)
        if revision != self._revision:
            self._revision, self._known = revision, {}
        key = (assessment_id, *span)
        found = self._known.get(key)
        if found is None:
            found = self._known[key] = indicators.indicators(connection, assessment_id, *span)
        return found


_HEADERS: Final = {
    "Content-Security-Policy": "default-src 'none'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    "Cache-Control": "no-cache",
}
"""Nothing is loaded from another host and no script runs, and the browser is told so."""


def attach(
    application: FastAPI, store: Store, public_url: str, docs_url: str, bundle_url: Callable[[int], str]
) -> Pages:
    """Add the pages to an application with its API: `/`, `/districts/...` and `/certificates/...`."""
    pages = Pages(store, public_url, docs_url, bundle_url)
    router = APIRouter(include_in_schema=False, default_response_class=HTMLResponse)

    @router.get("/")
    def show_districts() -> HTMLResponse:
        return pages.districts()

    @router.get("/districts/{district_id}")
    def show_district(
        district_id: str, assessment: str | None = None, day: str | None = None
    ) -> HTMLResponse:
        return pages.district(district_id, assessment, day)

    @router.get("/certificates/{number}")
    def show_certificate(number: str, request: Request) -> HTMLResponse:
        return pages.certificate(int(number)) if number.isdecimal() else pages.missing(request.url.path)

    application.include_router(router)
    application.include_router(market_pages.routes(pages, store))
    answer_error: Any = application.exception_handlers[HTTPException]

    @application.exception_handler(HTTPException)
    def page_or_problem(request: Request, error: HTTPException) -> Response:
        """A person who mistyped an address gets a page, a program what the API answers."""
        wants_page = "text/html" in request.headers.get("accept", "") and request.method == "GET"
        if error.status_code == 404 and wants_page and not request.url.path.startswith("/v1/"):
            return pages.missing(request.url.path)
        answer: Response = answer_error(request, error)
        return answer

    application.mount("/static", StaticFiles(directory=FOLDER / "static"), name="static")
    return pages


def _chosen_day(text: str | None, span: tuple[int, int]) -> int | None:
    """The day to show: the one asked for, kept inside the span, else its middle; None if it is no date."""
    if not text:
        return (span[0] + span[1]) // 2
    try:
        number = year.day_number(date.fromisoformat(text))
    except ValueError:
        return None
    return min(max(number, span[0]), span[1] - 1)


def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(FOLDER / "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "day": figures.day_text,
        "day_before": lambda day: figures.day_text(day - timedelta(days=1)),
        "time": figures.time_text,
        "number": figures.number,
        "energy": figures.energy,
        "primary_energy": figures.primary_energy,
        "emissions": figures.emissions,
        "share": figures.percent,
        "factor": figures.factor,
        "resolution": figures.resolution,
        "indicator": figures.indicator,
        "price": figures.price,
        "money": figures.money,
        "hour": figures.hour_text,
        "day_time": figures.day_time_text,
        "state_words": words.state_words,
        "state_style": words.state_style,
        "line_words": words.line_words,
        "hash": figures.short_hash,
        "status_style": words.status_style,
        "words": words.words,
        "verdict_words": words.verdict_words,
        "certificate_words": words.certificate_words,
        "event_words": words.event_words,
        "hour_ranges": words.hour_ranges,
    }
    return environment
