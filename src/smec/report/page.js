"use strict";

// Sorting: a click on a column's name orders the rows by it, another one turns the order round.
for (const button of document.querySelectorAll("th button")) {
  button.addEventListener("click", () => {
    const head = button.closest("th");
    const body = head.closest("table").tBodies[0];
    const rising = head.getAttribute("aria-sort") !== "ascending";
    for (const other of head.parentElement.children) other.removeAttribute("aria-sort");
    head.setAttribute("aria-sort", rising ? "ascending" : "descending");
    const value = (row) => row.cells[head.cellIndex].dataset.value ?? row.cells[head.cellIndex].textContent;
    const compare = (a, b) => {
      const [x, y] = [value(a), value(b)];
      return isNaN(x) || isNaN(y) ? x.localeCompare(y) : x - y;
    };
    const rows = [...body.rows].sort((a, b) => (rising ? compare(a, b) : compare(b, a)));
    body.append(...rows);
  });
}

// Filters of the table of results.
const results = document.getElementById("results");
const method = document.getElementById("method");
const best = document.getElementById("best");
const count = document.getElementById("count");
function filterResults() {
  let shown = 0;
  for (const row of results.tBodies[0].rows) {
    const wanted = (!method.value || row.dataset.method === method.value) && (!best.checked || "front" in row.dataset);
    row.hidden = !wanted;
    shown += wanted;
  }
  count.textContent = `${shown} of ${results.tBodies[0].rows.length} rows`;
}
method.addEventListener("change", filterResults);
best.addEventListener("change", filterResults);
filterResults();

// A point of a chart leads to its row, also where a filter hides it.
function showTarget() {
  const row = location.hash && document.getElementById(location.hash.slice(1));
  if (!row || !row.hidden) return;
  method.value = "";
  best.checked = false;
  filterResults();
  row.scrollIntoView({ block: "center" });
}
addEventListener("hashchange", showTarget);
showTarget();

// The name of a point, beside it, while it is pointed at or has the focus.
const tip = document.getElementById("tip");
let dismissed = false;
function showTip(event) {
  if (event.type === "focusin") dismissed = false;
  // The page may move under a pointer that rests: that takes no name from the point with the focus.
  const focused = dismissed ? null : document.activeElement.closest("figure svg a");
  const point = event.target.closest?.("figure svg a") ?? focused;
  tip.hidden = !point;
  if (!point) return;
  tip.textContent = point.getAttribute("aria-label");
  const box = point.getBoundingClientRect();
  const left = Math.min(box.left + scrollX, scrollX + document.documentElement.clientWidth - tip.offsetWidth - 8);
  tip.style.left = `${Math.max(8, left)}px`;
  tip.style.top = `${box.top + scrollY - tip.offsetHeight - 8}px`;
}
for (const kind of ["mouseover", "focusin"]) document.addEventListener(kind, showTip);
document.addEventListener("keydown", (event) => {
  if (event.key !== "Escape") return;
  dismissed = true;
  tip.hidden = true;
});

// Queries that contain a text.
for (const search of document.querySelectorAll("input[type=search]")) {
  const list = document.getElementById(search.dataset.list);
  const status = document.getElementById(search.dataset.status);
  search.addEventListener("input", () => {
    const wanted = search.value.toLowerCase();
    let shown = 0;
    for (const one of list.querySelectorAll("details")) {
      one.hidden = !one.textContent.toLowerCase().includes(wanted);
      shown += !one.hidden;
    }
    status.textContent = wanted ? `${shown} queries contain it` : "";
  });
}

// On paper everything is open.
let closed = [];
addEventListener("beforeprint", () => {
  closed = [...document.querySelectorAll("details:not([open])")];
  for (const one of closed) one.open = true;
});
addEventListener("afterprint", () => {
  for (const one of closed) one.open = false;
});
