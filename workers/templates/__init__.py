"""Templates: text and JSON values that are filled from an event, for options of handlers.

An option of type `Template` is compiled when the routes are loaded, `{{ data.ResourceName }}`, and rendered for an
event: `option.render(event)`. A `ValueTemplate` is a tree of YAML whose strings are templates. docs/routes.md explains
names and filters. Nothing can be called or imported in a template; output, steps and time are bounded.
"""

from workers.templates.expression import Expression
from workers.templates.template import Template
from workers.templates.template_errors import TemplateFailed
from workers.templates.value_template import ColumnTemplates, ValueTemplate, templates_in

__all__ = ["ColumnTemplates", "Expression", "Template", "TemplateFailed", "ValueTemplate", "templates_in"]
