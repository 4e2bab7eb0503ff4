"""A Django project in one file, by its WSGI handler."""

from __future__ import annotations

from typing import Any

import django
from django.conf import settings
from django.core.handlers.wsgi import WSGIHandler
from django.http import HttpRequest, HttpResponse, JsonResponse, StreamingHttpResponse
from django.urls import path

settings.configure(
    ALLOWED_HOSTS=["*"],
    ROOT_URLCONF=__name__,
    SECRET_KEY="for tests",
    FILE_UPLOAD_MAX_MEMORY_SIZE=1 << 16,
)
django.setup()


def upload(request: HttpRequest) -> HttpResponse:
    sent: Any = request.FILES["file"]
    return JsonResponse({"note": request.POST["note"], "name": sent.name, "size": sent.size})


def stream(request: HttpRequest) -> StreamingHttpResponse:
    return StreamingHttpResponse(f"{number}\n" for number in range(100))


def cookies(request: HttpRequest) -> HttpResponse:
    response = JsonResponse({**request.COOKIES, "secure": request.is_secure(), "path": request.path})
    response.set_cookie("one", "1")
    response.set_cookie("two", "2")
    return response


urlpatterns = [path("upload", upload), path("stream", stream), path("cookies", cookies)]
application = WSGIHandler()
