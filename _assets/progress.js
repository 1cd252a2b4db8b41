// Which pages a reader has read: kept in this browser, once it is asked for, and forgotten on request.
"use strict";

(() => {
  const KEY = "course-read";
  const ROOT = new URL(document.documentElement.dataset.content_root || "./", location.href).href;

  /** The names of the pages that were marked; nobody else's words are taken for them. */
  const marked = () => {
    try {
      const kept = JSON.parse(localStorage.getItem(KEY));
      return new Set(Array.isArray(kept) ? kept.filter((page) => typeof page === "string") : []);
    } catch {
      return new Set();
    }
  };

  /** Whether the browser has kept it: some keep nothing for pages from a disk, or for anybody. */
  const keep = (pages) => {
    try {
      if (pages.size) localStorage.setItem(KEY, JSON.stringify([...pages].sort()));
      else localStorage.removeItem(KEY);
      return true;
    } catch {
      return false;
    }
  };

  const nameOf = (link) => {
    const address = new URL(link.href, location.href);
    address.hash = address.search = "";
    return address.href.startsWith(ROOT) ? address.href.slice(ROOT.length).replace(/\.html$/, "") : null;
  };

  /** A tick after each page of the contents that was read, for eyes and ears. */
  const tick = (pages, own) => {
    for (const link of document.querySelectorAll(".bd-sidebar-primary .bd-links a.internal")) {
      const name = link.getAttribute("href") === "#" ? own : nameOf(link);
      link.querySelector(".course-read")?.remove();
      if (!pages.has(name)) continue;
      const mark = link.appendChild(document.createElement("span"));
      mark.className = "course-read";
      mark.textContent = " ✓";
      mark.setAttribute("role", "img");
      mark.setAttribute("aria-label", " (read)");
    }
  };

  const begin = (place) => {
    const own = place.dataset.page;
    const label = place.appendChild(document.createElement("label"));
    const box = label.appendChild(document.createElement("input"));
    box.type = "checkbox";
    label.append(" I have read this page");
    const said = place.appendChild(document.createElement("span"));
    said.setAttribute("role", "status");
    const forget = place.appendChild(document.createElement("button"));
    forget.type = "button";
    forget.textContent = "Forget all";

    // Pages that were renamed, or are another version's, do not count.
    const links = [...document.querySelectorAll(".bd-sidebar-primary .bd-links a.internal")];
    const known = new Set([own, ...links.map(nameOf).filter(Boolean)]);

    const show = (failed = false) => {
      const pages = marked();
      const count = [...pages].filter((page) => known.has(page)).length;
      box.checked = pages.has(own);
      forget.hidden = pages.size === 0;
      said.textContent = failed
        ? "This browser keeps nothing for this page."
        : pages.size
          ? `${count} of ${known.size} pages read; kept in this browser alone.`
          : "Ticked, it is kept in this browser alone.";
      tick(pages, own);
    };
    box.addEventListener("change", () => {
      const pages = marked();
      if (box.checked) pages.add(own);
      else pages.delete(own);
      show(!keep(pages));
    });
    forget.addEventListener("click", () => {
      const done = keep(new Set());
      show(!done);
      box.focus();
    });
    addEventListener("storage", () => show());
    addEventListener("pageshow", () => show()); // another page may have been marked before "back"
    show();
  };

  const place = document.querySelector(".course-progress");
  if (place) begin(place);
})();
