"""The API, `/api/v1`: what the pages show and do, for programs, with typed inputs and answers. Each endpoint runs the
function that the page of the same matter runs; `document` describes them as OpenAPI.
"""
