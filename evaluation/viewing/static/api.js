// Questions to the server. What goes wrong is told in one line at the top of the page.

const line = () => document.querySelector(".trouble");

export function trouble(message) {
  line().textContent = message;
  line().hidden = message === "";
}

async function read(response) {
  let answer = null;
  try {
    answer = await response.json();
  } catch {
    throw new Error(`the server answered with status ${response.status}`);
  }
  if (!response.ok) throw new Error(answer.error ?? `the server answered with status ${response.status}`);
  return answer;
}

export async function get(path, words = {}) {
  const query = new URLSearchParams(Object.entries(words).filter(([, value]) => value !== "" && value !== null));
  try {
    return await read(await fetch(`/api/${path}?${query}`));
  } catch (error) {
    if (error instanceof TypeError) throw new Error("the server does not answer: was it stopped?");
    throw error;
  }
}

export async function post(path, document) {
  const headers = { "Content-Type": "application/json" };
  return read(await fetch(`/api/${path}`, { method: "POST", headers, body: JSON.stringify(document) }));
}

// Calls `work` now and again and again until the function that it returns is called; not while nobody looks.
export function repeat(work, milliseconds) {
  let stopped = false;
  let timer = 0;
  const turn = async () => {
    if (!document.hidden) {
      try {
        await work();
        if (!stopped) trouble("");
      } catch (error) {
        if (!stopped) trouble(error.message);
      }
    }
    if (!stopped) timer = setTimeout(turn, milliseconds());
  };
  turn();
  return () => {
    stopped = true;
    clearTimeout(timer);
  };
}
