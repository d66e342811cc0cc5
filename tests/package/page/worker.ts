import "scrimp/worker";
