"""Bar charts as SVG, written by hand: they follow the reader's light or dark page."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape

WIDTH = 820
LABELS = 240
BAR = 17
ROW = 25
STYLE = """\
<style>
  text { font: 14px system-ui, -apple-system, "Segoe UI", Roboto, sans-serif; fill: #24292f }
  .title { font-size: 16px; font-weight: 600 }
  .value { font-size: 13px; fill: #57606a }
  .bar { fill: #8c959f }
  .carboy { fill: #0969da }
  .bare { fill: none; stroke: #8c959f; stroke-dasharray: 4 3 }
  .ours { font-weight: 600 }
  @media (prefers-color-scheme: dark) {
    text { fill: #e6edf3 }
    .value { fill: #9da7b3 }
    .bar { fill: #6e7681 }
    .carboy { fill: #4493f8 }
    .bare { stroke: #9da7b3 }
  }
</style>"""


@dataclass(frozen=True)
class Bar:
    label: str
    value: float
    kind: str = "bar"  # or carboy, or bare


def chart(panels: list[tuple[str, list[Bar]]], unit: str, description: str) -> str:
    """Panels one under another, each with its own scale."""
    parts: list[str] = []
    y = 10
    for title, bars in panels:
        parts.append(f'<text class="title" x="0" y="{y + 14}">{escape(title)}</text>')
        y += 30
        largest = max(bar.value for bar in bars)
        for bar in bars:
            length = max(2, round(bar.value / largest * (WIDTH - LABELS - 110)))
            ours = " ours" if bar.kind == "carboy" else ""
            label = escape(bar.label)
            parts.append(
                f'<text class="label{ours}" x="{LABELS - 10}" y="{y + 13}" text-anchor="end">{label}</text>'
                f'<rect class="{bar.kind}" x="{LABELS}" y="{y}" width="{length}" height="{BAR}" rx="2"/>'
                f'<text class="value" x="{LABELS + length + 8}" y="{y + 13}">{_short(bar.value)} {unit}</text>'
            )
            y += ROW
        y += 14
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {y}" width="{WIDTH}"'
        f' height="{y}" role="img" aria-label="{escape(description)}">'
    )
    return "\n".join([head, f"<title>{escape(description)}</title>", STYLE, *parts, "</svg>", ""])


def _short(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}"
