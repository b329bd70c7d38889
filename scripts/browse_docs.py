"""Open the site in a browser, in an environment that has playwright: `browse_docs.py CHROMIUM ADDRESS QUERY PAGE …`."""

import sys

from playwright.sync_api import sync_playwright

AMONG = 5  # first results
PAGES = ("index.html", "howto/02_fastq/", "commands/classify/", "reference/model/", "errors/", "house/10_kmers/")
RESULT = ".md-search-result__item > a"


def opened(browser, width, address, faults):
    """A page of a width that notes errors and what it asks of other places."""
    page = browser.new_page(viewport={"width": width, "height": 900})
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.on("requestfailed", lambda request: faults.append(f"failed: {request.url}"))
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


def check_searches(browser, address, queries, faults):
    """Each search has its page among the first results."""
    for query, wanted in queries:
        page = opened(browser, 1300, address, faults)
        page.goto(f"{address}/?q={query.replace(' ', '+')}")
        page.wait_for_selector(RESULT, state="attached", timeout=60_000)
        links = [link.get_attribute("href").split("?")[0] for link in page.query_selector_all(RESULT)]
        first = list(dict.fromkeys(link.removeprefix(address).split("#")[0].strip("/") for link in links))[:AMONG]
        assert wanted in first, f"{query!r} finds {first}, not {wanted}"
        page.close()


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
