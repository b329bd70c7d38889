from matplotlib.figure import Figure
from pathlib import Path
import io
import jinja2
import pandas as pd



def svg(fig: Figure) -> str:
    "A figure as an SVG element to put into a page."
    out = io.StringIO()
    fig.savefig(out, format="svg", bbox_inches="tight", metadata={"Date": None})
    return out.getvalue()[out.getvalue().index("<svg") :]


_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>{{ title }}</title>
<style>
 body { font: 16px/1.55 system-ui, sans-serif; color: #1f2937; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }
 h1 { line-height: 1.2; } h2 { margin-top: 2.5rem; border-bottom: 1px solid #e5e7eb; padding-bottom: .3rem; }
 table { border-collapse: collapse; margin: 1rem 0; } td, th { padding: .3rem .8rem; text-align: right; white-space: nowrap; border-bottom: 1px solid #e5e7eb; }
 td:first-child, th:first-child { text-align: left; white-space: normal; } tr.own { background: #eff6ff; font-weight: 600; }
 .lead { font-size: 1.15rem; } .note { background: #fffbeb; border-left: 4px solid #f59e0b; padding: .6rem 1rem; }
 figure { margin: 1.5rem 0; } figcaption { color: #4b5563; font-size: .9rem; } svg { max-width: 100%; height: auto; }
 .scroll { overflow-x: auto; } code { background: #f3f4f6; padding: .1rem .3rem; } .small { color: #4b5563; font-size: .9rem; }
</style></head><body>
<h1>{{ title }}</h1>
{% for p in lead %}<p class="lead">{{ p }}</p>{% endfor %}
{% for p in notes %}<p class="note">{{ p }}</p>{% endfor %}
{% for s in sections %}<h2>{{ s.title }}</h2>
{% for p in s.text %}<p>{{ p }}</p>{% endfor %}
{% if s.table %}<div class="scroll"><table><tr>{% for c in s.table.columns %}<th>{{ c }}</th>{% endfor %}</tr>
{% for row in s.table.rows %}<tr{% if row[0] == s.table.own %} class="own"{% endif %}>{% for c in row %}<td>{{ c }}</td>{% endfor %}</tr>
{% endfor %}</table></div>{% endif %}
{% for f in s.figures %}<figure>{{ f.svg | safe }}<figcaption>{{ f.caption }}</figcaption></figure>{% endfor %}
{% endfor %}
<p class="small">{{ footer }}</p>
</body></html>
"""


def section(
    title: str,
    text: list[str] = (),  # paragraphs
    table: pd.DataFrame | None = None,  # cells are printed as they are
    own: str = "",  # first cell of the row to set off
    figures: dict[str, Figure] | None = None,  # caption -> figure
) -> dict:
    "A part of a page, in the form the template takes."
    cells = None if table is None else {"columns": list(table.columns), "rows": table.to_numpy().tolist(), "own": own}
    return {"title": title, "text": list(text), "table": cells, "figures": [{"caption": c, "svg": svg(f)} for c, f in (figures or {}).items()]}


def write_page(
    path,  # HTML file
    title: str,
    lead: list[str],  # first paragraphs
    sections: list[dict],  # from `section`
    notes: list[str] = (),  # paragraphs that must not be missed
    footer: str = "",
) -> Path:
    "Write a self-contained HTML page."
    template = jinja2.Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True, undefined=jinja2.StrictUndefined).from_string(_PAGE)
    Path(path).write_text(template.render(title=title, lead=lead, notes=notes, sections=sections, footer=footer), encoding="utf-8")
    return Path(path)
