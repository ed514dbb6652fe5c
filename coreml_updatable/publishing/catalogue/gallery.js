// Search and filter; without this script the list is complete.
const form = document.getElementById("filter");
const items = [...document.querySelectorAll("[data-text]")];
const count = document.getElementById("count");
const show = () => {
  const words = form.elements.words.value.toLowerCase().split(/\s+/).filter(Boolean);
  const input = form.elements.input.value;
  const most = Number(form.elements.size.value);
  const least = Number(form.elements.accuracy.value);
  let shown = 0;
  for (const item of items) {
    const fits = words.every((word) => item.dataset.text.includes(word))
      && (!input || item.dataset.input === input) && (!most || Number(item.dataset.bytes) <= most)
      && Number(item.dataset.accuracy) >= least;
    item.hidden = !fits;
    shown += fits ? 1 : 0;
  }
  const all = items.length === 1 ? "1 model" : `${items.length} models`;
  count.textContent = shown === items.length ? all : `${shown} of ${all}`;
};
form.addEventListener("submit", (event) => event.preventDefault());
form.addEventListener("input", show);
form.hidden = false;
show();
