async function refresh() {
  if (document.hidden) return;
  try {
    const text = await (await fetch(location.href)).text();
    const fresh = new DOMParser().parseFromString(text, "text/html").querySelector("#state");
    const state = document.querySelector("#state");
    for (const open of state.querySelectorAll("details[open]")) {
      const same = fresh.querySelector(`details[data-name="${CSS.escape(open.dataset.name)}"]`);
      if (same) same.open = true;
    }
    state.replaceWith(fresh);
    document.querySelector("#lost").hidden = true;
  } catch {
    document.querySelector("#lost").hidden = false;
  }
}
setInterval(refresh, 5000);
