"""A Django application: its views and middleware, under waitress with its threads."""

import contract
import django
import waitress
from django.conf import settings
from django.core.wsgi import get_wsgi_application
from django.http import HttpResponse
from django.urls import re_path

settings.configure(
    ALLOWED_HOSTS=["*"],
    DATA_UPLOAD_MAX_MEMORY_SIZE=None,
    MIDDLEWARE=["django.middleware.common.CommonMiddleware", "django.middleware.clickjacking.XFrameOptionsMiddleware"],
    ROOT_URLCONF=__name__,
    SECRET_KEY="not a secret",
)


def anything(request):
    status, body = contract.answer(request.method, request.path, request.body)
    return HttpResponse(body, status=status)


urlpatterns = [re_path("", anything)]
django.setup()
waitress.serve(get_wsgi_application(), listen="127.0.0.1:0", threads=4)
