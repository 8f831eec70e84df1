// Fills a run's page, every three seconds, with the report that the server makes.
// The report's text is escaped, and its scripts, if it had any, would not run.

const $ = (id) => document.getElementById(id);
let shown = "";

function say(text) {
  if ($("state").textContent !== text) $("state").textContent = text;
}

async function refresh() {
  try {
    const answer = await fetch(`/report${location.search}`), text = await answer.text();
    if (!answer.ok) throw new Error(text);
    if (text !== shown) {
      const report = new DOMParser().parseFromString(text, "text/html");
      document.title = report.title;
      $("style").textContent = report.querySelector("style").textContent;
      $("report").replaceChildren(...document.adoptNode(report.querySelector("main")).childNodes);
      shown = text;
    }
    say("live");
    document.body.dataset.ready = "yes";
  } catch (error) {
    say(`no answer, so this is what was there before: ${error.message}`);
  }
  setTimeout(refresh, 3000);
}

refresh();
