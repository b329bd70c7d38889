"""Open the site in a browser, in an environment that has playwright: `browse_docs.py CHROMIUM ADDRESS QUERY PAGE …`."""

import sys

from playwright.sync_api import sync_playwright

AMONG = 5  # first results
PAGES = ("index.html", "howto/02_fastq/", "commands/classify/", "reference/model/", "errors/", "house/10_kmers/")
BOX = "input[name=query]"
RESULT = ".md-search-result__item > a"


def opened(browser, width, address, faults):
    """A page of a width that notes errors and what it asks of other places."""
    page = browser.new_page(viewport={"width": width, "height": 900})
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.on("response", lambda answer: None if answer.ok else faults.append(f"{answer.status}: {answer.url}"))
    page.on("request", lambda r: None if r.url.startswith((address, "data:", "blob:")) else faults.append(r.url))
    return page


def check_widths(browser, address, faults):
    """Pages fit a wide and a narrow screen."""
    for width in (1300, 400):
        page = opened(browser, width, address, faults)
        for place in PAGES:
            page.goto(f"{address}/{place}")
            needed = page.evaluate("document.scrollingElement.scrollWidth")
            assert needed <= width, f"{place} is {needed} pixels wide on a screen of {width}"
        page.close()


def found(page, query):
    """The pages that a search finds, the best first."""
    for text, state in (("", "detached"), (query, "attached")):
        page.fill(BOX, text)
        page.press(BOX, "End")  # a key is what starts a search
        page.wait_for_selector(RESULT, state=state, timeout=60_000)
    return [link.get_attribute("href").split("?")[0] for link in page.query_selector_all(RESULT)]


def check_searches(browser, address, queries, faults):
    """Each search has its page among the first results."""
    page = opened(browser, 1300, address, faults)
    page.goto(address)
    missed = []
    for query, wanted in queries:
        places = [link.removeprefix(address).split("#")[0].strip("/") for link in found(page, query)]
        first = list(dict.fromkeys(places))[:AMONG]
        missed += [] if wanted in first else [f"{query!r} finds {first}, not {wanted}"]
    assert not missed, missed


def main():
    program, address, *rest = sys.argv[1:]
    queries = list(zip(rest[::2], rest[1::2]))
    faults = []
    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=program, args=["--no-sandbox", "--disable-gpu"])
        check_widths(browser, address, faults)
        check_searches(browser, address, queries, faults)
        browser.close()
    assert not faults, faults


if __name__ == "__main__":
    main()
