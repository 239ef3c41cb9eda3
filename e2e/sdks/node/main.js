// Profiles itself with @pyroscope/nodejs: one function spins, one keeps memory.
const Pyroscope = require('@pyroscope/nodejs');

Pyroscope.init({
  appName: process.env.PYROSCOPE_APPLICATION_NAME,
  serverAddress: process.env.PYROSCOPE_SERVER_ADDRESS,
  tags: { region: 'eu-north' },
  flushIntervalMs: 2000,
  wall: { collectCpuTime: true },
});

let sink = 0;

function spinTheLoop(until) {
  while (Date.now() < until) {
    for (let i = 0; i < 100000; i++) sink = (sink * 31 + i) % 65521;
  }
}

function hoardArrays(count) {
  const kept = [];
  for (let i = 0; i < count; i++) kept.push(new Array(1000).fill(i));
  return kept;
}

const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

async function main() {
  Pyroscope.start();
  const kept = hoardArrays(5000);
  // In turns, so that the agent's timer has its time.
  for (let turn = 0; turn < 30; turn++) {
    Pyroscope.wrapWithLabels({ phase: 'spin' }, () => spinTheLoop(Date.now() + 100));
    await pause(1);
  }
  await Pyroscope.stop();
  console.log(`kept ${kept.length} arrays`);
}

main();
