export default { worker: { format: "es" } }; // so that a Worker, too, loads parts when they are wanted
