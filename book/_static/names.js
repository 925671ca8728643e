/* The theme's buttons have names that leave out the words on them; who speaks to the page says the words. */
window.addEventListener("load", () => {
  for (const thing of document.querySelectorAll(".search-button-field, .theme-switch-button, summary[aria-label]")) {
    const words = thing.textContent.trim().replace(/\s+/g, " ");
    const name = thing.getAttribute("aria-label") || "";
    if (words && !name.toLowerCase().includes(words.toLowerCase())) thing.setAttribute("aria-label", `${words} (${name})`);
  }
});
