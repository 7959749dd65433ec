// Words and numbers that are the same each time.
let state = 7;
function random() { state = (1103515245 * state + 12345) % 2147483648; return state / 2147483648; }
function whole(n) { return Math.floor(n * random()); }
function any(list) { return list[whole(list.length)]; }
const WORDS = ("the of and a to in is was for on with as by at from that it an be are this which or were not have has had "
  + "river mountain garden window letter paper colour number market bridge engine summer winter school member village "
  + "early later often seldom never usually about between under after before because although measured printed known "
  + "found called made built written small large ancient modern public quiet narrow northern western green brown "
  + "station council museum library harbour island valley forest railway century language grammar history science "
  + "light sound signal picture screen pixel error table value result method system process figure question answer").split(" ");
function words(n) { let out = []; for (let i = 0; i < n; i++) out.push(any(WORDS)); return out.join(" "); }
function sentence() { const s = words(6 + whole(14)); return s[0].toUpperCase() + s.slice(1) + "."; }
function paragraph(n) { let out = []; for (let i = 0; i < n; i++) out.push(sentence()); return out.join(" "); }
function title(n) { return words(n).replace(/\b\w/g, c => c.toUpperCase()); }
function repeat(n, make) { let out = ""; for (let i = 0; i < n; i++) out += make(i); return out; }
function show(html) { document.body.innerHTML = html; }
