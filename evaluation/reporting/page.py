"""The frame of a report: one HTML page with its own style sheet, no script and nothing to load."""

from __future__ import annotations

from string import Template

STYLE = """
:root { --ink: #1f2430; --soft: #5c6473; --line: #e1e5ec; --panel: #ffffff; --page: #f5f6f9; --accent: #0b62a4;
  --good: #1d7a46; --good-bg: #e7f4ec; --bad: #b3372f; --bad-bg: #fbeceb; --open-bg: #eef1f6; }
* { box-sizing: border-box; }
html { -webkit-text-size-adjust: 100%; }
body { margin: 0; background: var(--page); color: var(--ink);
  font: 16px/1.55 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif; }
main, header > div { max-width: 1080px; margin: 0 auto; padding: 0 24px; }
header { background: var(--panel); border-bottom: 1px solid var(--line); padding: 34px 0 26px; }
header p { margin: 0; color: var(--soft); font-size: 18px; max-width: 760px; }
h1 { margin: 0 0 6px; font-size: 34px; line-height: 1.2; letter-spacing: -0.01em; }
h2 { margin: 46px 0 10px; font-size: 23px; letter-spacing: -0.005em; }
h3 { margin: 28px 0 10px; font-size: 17px; }
h4 { margin: 0 0 8px; font-size: 13px; color: var(--soft); font-weight: 600; }
main > section > p, .intro { max-width: 780px; }
small, .note { color: var(--soft); font-size: 13.5px; }
code { font: 13px/1.5 ui-monospace, SFMono-Regular, Menlo, Consolas, monospace; overflow-wrap: anywhere; }
nav { margin-top: 18px; display: flex; flex-wrap: wrap; gap: 6px 18px; font-size: 14.5px; }
a { color: var(--accent); text-decoration: none; } a:hover { text-decoration: underline; }
.cards { display: grid; grid-template-columns: repeat(auto-fit, minmax(250px, 1fr)); gap: 14px; margin: 18px 0; }
.card, .panel, .problem, .film { background: var(--panel); border: 1px solid var(--line); border-radius: 10px; }
.card { padding: 16px 18px; }
.card h3 { margin: 0 0 2px; } .card .kind { color: var(--soft); font-size: 13.5px; margin: 0 0 10px; }
.card .change { font-size: 26px; font-weight: 650; letter-spacing: -0.01em; margin: 0;
  font-variant-numeric: tabular-nums; }
.card .change .from { color: #8b93a3; font-weight: 500; }
.card .second { margin: 0 0 8px; color: var(--soft); font-size: 14px; }
.card p { margin: 0 0 4px; }
.tag { display: inline-block; font-size: 13px; border-radius: 20px; padding: 2px 10px; background: var(--open-bg);
  color: var(--soft); }
.tag.up { background: var(--good-bg); color: var(--good); } .tag.down { background: var(--bad-bg);
  color: var(--bad); }
.stages { list-style: none; counter-reset: stage; margin: 16px 0; padding: 0; display: grid; gap: 10px; }
.stages li { counter-increment: stage; background: var(--panel); border: 1px solid var(--line); border-radius: 10px;
  padding: 14px 18px 14px 58px; position: relative; }
.stages li::before { content: counter(stage); position: absolute; left: 17px; top: 15px; width: 26px; height: 26px;
  border-radius: 50%; background: var(--accent); color: #fff; text-align: center; line-height: 26px;
  font-size: 14px; }
.stages strong { font-size: 17px; } .stages p { margin: 2px 0; }
.scroll { overflow: auto hidden; background: var(--panel); border: 1px solid var(--line); border-radius: 10px; }
table { border-collapse: collapse; width: 100%; margin-bottom: -1px; font-size: 15px; }
th, td { text-align: left; padding: 8px 14px; border-bottom: 1px solid var(--line); vertical-align: top; }
tbody tr:last-child > * { border-bottom: 0; }
thead th { font-size: 13.5px; color: var(--soft); font-weight: 600; white-space: nowrap; }
.results th[scope=row] { font-weight: 600; } .results .mode { color: var(--soft); }
.results td { min-width: 130px; font-variant-numeric: tabular-nums; } .results .mode { min-width: 80px; }
.group th { background: var(--page); font-size: 12.5px; color: var(--soft); font-weight: 600; padding: 5px 14px; }
.rate { font-weight: 650; } td small { white-space: nowrap; }
.bar { display: block; position: relative; height: 8px; margin-top: 5px; background: #edf0f5; border-radius: 2px; }
.bar i, .bar b { position: absolute; }
.bar i { left: 0; top: 0; height: 8px; background: #8bbbe0; border-radius: 2px; }
.bar b { top: 3px; height: 2px; background: var(--ink); }
.curves { padding: 14px; overflow: auto hidden; }
.curves img { width: 100%; min-width: 700px; height: auto; display: block; }
.problem { display: grid; grid-template-columns: minmax(220px, 290px) 1fr 1fr; margin: 12px 0; overflow: hidden;
  break-inside: avoid; }
.problem > div { padding: 14px 16px; min-width: 0; } .problem > div + div { border-left: 1px solid var(--line); }
.question img { max-width: 100%; height: auto; border-radius: 4px; border: 1px solid var(--line); }
img.pixels { image-rendering: pixelated; }
.question p, .told p { margin: 6px 0 0; white-space: pre-wrap; overflow-wrap: anywhere; }
.verdict { float: right; border-radius: 20px; padding: 0 10px; font-weight: 600; background: var(--open-bg);
  color: var(--soft); }
.right .verdict { background: var(--good-bg); color: var(--good); } .wrong .verdict { background: var(--bad-bg);
  color: var(--bad); }
dl { margin: 0; } dt { font-size: 12.5px; color: var(--soft); }
dd { margin: 0 0 8px; white-space: pre-wrap; overflow-wrap: anywhere; }
dd.answer { font-weight: 650; font-size: 18px; } dd.malformed { color: var(--bad); }
.turns { font-size: 14.5px; } .turns th, .turns td { padding: 4px 10px 4px 0; overflow-wrap: anywhere; }
.turns th { font-size: 12.5px; color: var(--soft); font-weight: 400; } .turns td:last-child { font-weight: 650; }
.turns td.malformed { color: var(--bad); font-weight: 400; } .more { margin: 6px 0 0; font-size: 12.5px;
  color: var(--soft); }
.nothing { color: #9aa1ae; font-weight: 400; font-size: 15px; }
.films { display: grid; grid-template-columns: 1fr 1fr; gap: 14px; margin: 12px 0; }
.film { padding: 12px; break-inside: avoid; } .film img, .film video { width: 100%; height: auto; display: block;
  border-radius: 4px; }
details { margin: 8px 0; } summary { cursor: pointer; color: var(--accent); font-size: 14.5px; }
details pre { background: var(--panel); border: 1px solid var(--line); border-radius: 8px; padding: 12px 14px;
  overflow-x: auto;
  font: 13px/1.5 ui-monospace, SFMono-Regular, Menlo, Consolas, monospace; }
dl.terms { display: grid; grid-template-columns: max-content 1fr; gap: 6px 22px; max-width: 900px; }
dl.terms dt { font-size: 15px; font-weight: 600; color: var(--ink); } dl.terms dd { margin: 0; }
.facts { font-size: 14.5px; } .facts td:first-child { color: var(--soft); width: 34%; }
  .facts td { overflow-wrap: anywhere; }
footer { max-width: 1080px; margin: 40px auto 50px; padding: 0 24px; color: var(--soft); font-size: 13.5px; }
.figures { font-size: 14px; } .figures th, .figures td { padding: 6px 10px; white-space: nowrap;
  font-variant-numeric: tabular-nums; } .endings td { text-align: right; }
.transcript { background: var(--panel); border: 1px solid var(--line); border-radius: 10px; padding: 14px 16px;
  margin: 12px 0; break-inside: avoid; }
.exchange { display: grid; grid-template-columns: minmax(180px, 300px) 1fr; gap: 16px; padding: 10px 0;
  border-top: 1px solid var(--line); }
.exchange p { margin: 4px 0; white-space: pre-wrap; overflow-wrap: anywhere; }
.thought { background: #e8f1fa; color: #0b4a7c; border-radius: 6px; padding: 6px 10px; } .said { font-weight: 650; }
.malformed { color: var(--bad); } .paid { color: var(--soft); font-size: 13.5px; }
.part { display: inline-block; background: var(--open-bg); border-radius: 20px; padding: 0 8px; margin-right: 4px; }
.told { font-size: 13.5px; color: var(--soft); overflow-wrap: anywhere; }
@media (max-width: 820px) { .exchange { grid-template-columns: 1fr; gap: 4px; }
  main, header > div { padding: 0 14px; } th, td { padding: 7px 9px; }
  .films { grid-template-columns: 1fr; } .problem { grid-template-columns: 1fr; }
  .problem > div + div { border-left: 0; border-top: 1px solid var(--line); }
  h1 { font-size: 27px; } dl.terms { grid-template-columns: 1fr; gap: 0; } dl.terms dd { margin-bottom: 10px; } }
@media print { body { background: #fff; font-size: 11pt; } nav, summary, video { display: none; }
  h2, h3 { break-after: avoid; }
  * { -webkit-print-color-adjust: exact; print-color-adjust: exact; } .card, .film, li, tr { break-inside: avoid; } }
"""

PAGE = Template("""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="script-src 'none'; object-src 'none'; base-uri 'none'">
<title>$title</title>
<style>$style</style>
</head>
<body>
<header><div><h1>$title</h1><p>$subtitle</p><nav>$links</nav></div></header>
<main>
$sections
</main>
<footer>$footer</footer>
</body>
</html>
""")

INTRO = """
A model that reads text and looks at pictures (a <em>vision-language model</em>) practised on tasks whose answers can be
checked by a rule. Before training and after each stage it took a test on problems that were kept out of training.
"""
KIND_NOTES = {
    "ppo": """In reinforcement learning the model tries: it writes several replies, a rule pays each one a
<em>reward</em> (for a right answer, and for the form that was asked for), and replies that were paid more than the
others become more likely. Nobody shows it a right reply.""",
    "sft": "In supervised learning the model is shown right replies and learns to write the like.",
}
EMBEDDED_NOTE = """, which comes with the package: about half a million parameters, made to show the whole way on a
small machine. Before this run it was taught by examples (recipe <code>pretrain_tiny</code>) to read the pictures, to
reason in a short notation and to play a little; the figures here are what the stages of this run added."""

TERMS = (
    ("Success", "the share of test problems that were solved. Every test uses the same problems."),
    (
        "Likeliest, sampled",
        "the model writes its reply word by word. <em>Likeliest</em> always takes the most probable next word;"
        " <em>sampled</em> draws from the probabilities, which is how it practises.",
    ),
    (
        "95 % interval",
        "how far chance alone might have moved a share, given how many problems there were. Where two intervals do not"
        " overlap, the difference is very likely real. They say nothing about how another training run would turn out.",
    ),
    ("Reward", "what one attempt was paid: for the task, plus something for a reply in the right form."),
    ("Format", "the share of replies in the form that was asked for: a thought, then an answer, and nothing else."),
    (
        "Length of a reply",
        "in tokens, the pieces of words that the model writes. It often grows as the model learns to reason.",
    ),
    ("KL divergence", "how far the model has moved from where the stage began; a slow, small rise is healthy."),
    ("Entropy", "how undecided the model is about its next word; it falls as the model settles on a way of replying."),
)


def fill_page(title: str, subtitle: str, sections: dict[str, tuple[str, str]], footer: str) -> str:
    """Put a page together.

    Args:
        title, subtitle, footer: HTML.
        sections: by their anchor: heading and body, HTML; one with an empty body is left out.
    """
    kept = {anchor: section for anchor, section in sections.items() if section[1]}
    links = "".join(f'<a href="#{anchor}">{heading}</a>' for anchor, (heading, _) in kept.items())
    bodies = "\n".join(
        f'<section id="{anchor}"><h2>{heading}</h2>\n{body}\n</section>' for anchor, (heading, body) in kept.items()
    )
    return PAGE.substitute(title=title, style=STYLE, subtitle=subtitle, links=links, sections=bodies, footer=footer)
