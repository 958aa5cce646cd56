// SPDX-License-Identifier: GPL-3.0-or-later
// Search, filters and order of a rollout's report, and times in the reader's zone. Without it, all is shown in UTC.
"use strict";
(() => {
  const $ = (id) => document.getElementById(id);
  const list = $("list");
  const hosts = [...list.children];
  const texts = new Map(hosts.map((host) => [host, host.textContent.toLowerCase()]));
  const chips = [...$("chips").children];

  const show = () => {
    const words = $("search").value.toLowerCase().split(/\s+/).filter(Boolean);
    const outcome = $("outcome").value;
    const deployment = $("deployment").value;
    const wave = $("wave").value;
    let shown = 0;
    for (const host of hosts) {
      const fits =
        (!outcome || host.dataset.outcome === outcome) &&
        (deployment === "*" || host.dataset.deployment === deployment) &&
        (wave === "*" || host.dataset.wave === wave) &&
        words.every((word) => texts.get(host).includes(word));
      host.hidden = !fits;
      shown += fits;
    }
    $("shown").value = `${shown} of ${hosts.length}`;
    for (const chip of chips) chip.setAttribute("aria-pressed", String(chip.dataset.outcome === outcome));
  };

  const orders = {
    order: (host) => [Number(host.dataset.order)],
    worst: (host) => [Number(host.dataset.worst), Number(host.dataset.order)],
    downtime: (host) => [-Number(host.dataset.downtime), Number(host.dataset.order)],
    began: (host) => [host.dataset.began || "~", Number(host.dataset.order)],
  };
  const sort = () => {
    const keys = new Map(hosts.map((host) => [host, orders[$("sort").value](host)]));
    const less = (one, other) => {
      for (let part = 0; part < one.length; part++) {
        if (one[part] !== other[part]) return one[part] < other[part] ? -1 : 1;
      }
      return 0;
    };
    list.append(...[...hosts].sort((one, other) => less(keys.get(one), keys.get(other))));
  };

  const filter = (name, value) => {
    $(name).value = value;
    show();
    $("hosts").scrollIntoView();
  };
  for (const chip of chips) {
    chip.addEventListener("click", () => {
      filter("outcome", chip.getAttribute("aria-pressed") === "true" ? "" : chip.dataset.outcome);
    });
  }
  for (const name of ["deployment", "wave"]) {
    for (const link of document.querySelectorAll(`button[data-${name}]`)) {
      link.addEventListener("click", () => filter(name, link.dataset[name]));
    }
  }

  // A link to a host shows it, whatever the filters hide.
  const open = () => {
    const host = hosts.find((each) => `#${each.id}` === location.hash);
    if (!host) return;
    host.hidden = false;
    host.open = true;
    host.scrollIntoView({ block: "center" });
  };
  addEventListener("hashchange", open);

  // On paper, what was in trouble is open.
  addEventListener("beforeprint", () => {
    for (const host of hosts) if (["failed", "lost", "back", "refused"].includes(host.dataset.outcome)) host.open = true;
  });

  // As the scale of the time line has it; the zone is the reader's, so it is named.
  const clock = { hour: "2-digit", minute: "2-digit", hourCycle: "h23" };
  const long = new Intl.DateTimeFormat(undefined, {
    ...clock, second: "2-digit", day: "numeric", month: "short", year: "numeric", timeZoneName: "short",
  });
  const short = {
    minutes: new Intl.DateTimeFormat(undefined, clock),
    seconds: new Intl.DateTimeFormat(undefined, { ...clock, second: "2-digit" }),
  };
  for (const time of document.querySelectorAll("time")) {
    const at = new Date(time.dateTime);
    time.title = `${time.dateTime} (UTC)`;
    time.textContent = (short[time.dataset.short] ?? long).format(at);
  }

  $("tools").hidden = false;
  $("tools").addEventListener("submit", (event) => event.preventDefault());
  $("tools").addEventListener("input", show);
  $("sort").addEventListener("change", sort);
  show();
  open();
})();
