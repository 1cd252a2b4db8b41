// The widget runtime asks MathJax 2 to set the formulas in labels, and stops with an error at MathJax 3, which the book
// has. This translates the one call it makes. DOMContentLoaded comes after MathJax and before the widgets.
document.addEventListener("DOMContentLoaded", () => {
  if (!window.MathJax || window.MathJax.Hub) return;
  window.MathJax.Hub = {
    Queue: ([, , element]) => {
      element.classList.add("mathjax_process");
      window.MathJax.startup.promise.then(() => window.MathJax.typesetPromise([element]));
    },
  };
});
