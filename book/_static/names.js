/* The theme's buttons have names that leave out the words on them; who speaks to the page says the words. What scrolls
   sideways can be reached by keyboard. */
window.addEventListener("load", () => {
  for (const thing of document.querySelectorAll(".search-button-field, .theme-switch-button, summary[aria-label]")) {
    const words = thing.textContent.trim().replace(/\s+/g, " ");
    const name = thing.getAttribute("aria-label") || "";
    if (words && !name.toLowerCase().includes(words.toLowerCase())) thing.setAttribute("aria-label", `${words} (${name})`);
  }
  for (const wide of document.querySelectorAll("table, .pst-scrollable-table-container, .cell_output .output")) {
    if (wide.scrollWidth > wide.clientWidth + 1) {
      wide.tabIndex = 0;
      if (!wide.getAttribute("aria-label")) wide.setAttribute("aria-label", "A wide table: scroll sideways");
    }
  }
  for (const list of document.querySelectorAll(".citation-list")) list.removeAttribute("role"); // its parts are no items
});
