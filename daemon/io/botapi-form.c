/* SPDX-License-Identifier: MIT */

#include "io/botapi-form.h"

const char *botapi_json_text(json_object *value)
{
        return json_object_to_json_string_ext(value, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE);
}

/* A text stands there as it is, anything else as JSON: the server reads a list from a field that way. */
static int add_field(curl_mime *form, const char *name, json_object *value)
{
        bool text = json_object_is_type(value, json_type_string);
        const char *data = text ? json_object_get_string(value) : botapi_json_text(value);
        curl_mimepart *part = data ? curl_mime_addpart(form) : NULL;

        if (!part || curl_mime_name(part, name) != CURLE_OK ||
            curl_mime_data(part, data, CURL_ZERO_TERMINATED) != CURLE_OK)
                return -ENOMEM;
        return 0;
}

/* With a file name: without one the server takes a part for a field. */
static int add_certificate(curl_mime *form, const BotApiRequest *request)
{
        curl_mimepart *part = curl_mime_addpart(form);

        if (!part || curl_mime_name(part, "certificate") != CURLE_OK ||
            curl_mime_filename(part, "certificate.pem") != CURLE_OK ||
            curl_mime_type(part, "application/x-pem-file") != CURLE_OK ||
            curl_mime_data(part, request->certificate, request->certificate_size) != CURLE_OK)
                return -ENOMEM;
        return 0;
}

static int add_arguments(curl_mime *form, json_object *arguments)
{
        json_object_object_foreach(arguments, name, value)
        {
                int r = add_field(form, name, value);

                if (r < 0)
                        return r;
        }
        return 0;
}

int botapi_form_new(curl_mime **ret, CURL *easy, const BotApiRequest *request)
{
        curl_mime *form = curl_mime_init(easy);
        int r = form ? 0 : -ENOMEM;

        if (r >= 0 && request->arguments)
                r = add_arguments(form, request->arguments);
        if (r >= 0)
                r = add_certificate(form, request);
        if (r < 0) {
                curl_mime_free(form);
                return r;
        }
        *ret = form;
        return 0;
}
