// The server that runs the function, as the Functions Framework's buildpacks make one: on
// PORT, the function that FUNCTION_TARGET names.
package main

import (
	"log"
	"os"

	"github.com/GoogleCloudPlatform/functions-framework-go/funcframework"

	_ "github.com/fado-project/fado/examples/functions-framework"
)

func main() {
	if err := funcframework.StartHostPort(os.Getenv("HOST"), os.Getenv("PORT")); err != nil {
		log.Fatal(err)
	}
}
