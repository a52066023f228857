"""Two examples for each command, as its `--help` ends."""

__all__ = ["EXAMPLES"]

EXAMPLES = {
    "demo": (
        "gradscape demo",
        "gradscape demo --seed 1 -o another-demo",
    ),
    "models": (
        "gradscape models 'spa*'",
        "gradscape models resnet50+spa_a",
    ),
    "train": (
        "gradscape train upanet16 --data digits -o runs/digits",
        "gradscape train cifar_resnet18 cifar_resnet18+ba2m --data cifar100 --download --seeds 3 -o runs/ba2m",
    ),
    "import": (
        "gradscape import resnet20.th --model resnet20 --mean 0.485,0.456,0.406 --std 0.229,0.224,0.225 "
        "-o resnet20.safetensors",
        "gradscape import birds.pt --model mobilenet_v2 --image-size 224 --mean 0.5,0.5,0.5 --std 0.5,0.5,0.5 "
        "--labels birds.txt -o birds.safetensors",
    ),
    "evaluate": (
        "gradscape evaluate a.safetensors b.safetensors --data cifar10 -o out",
        "gradscape evaluate a.safetensors --data folder:photos --store",
    ),
    "landscape": (
        "gradscape landscape a.safetensors --data cifar10 --limit 1000 -o out",
        "gradscape landscape a.safetensors b.safetensors --data folder:photos --steps 25 --time 600 -o out",
    ),
    "line": (
        "gradscape line a.safetensors --data cifar10 --limit 1000 -o out",
        "gradscape line a.safetensors b.safetensors --data cifar10 --limit 1000 --steps 25 -o out",
    ),
    "animate": (
        "gradscape animate runs/digits --data digits --limit 500 -o movie",
        "gradscape animate runs/digits --data digits --steps 15 --time 600 -o movie",
    ),
    "curvature": (
        "gradscape curvature a.safetensors --data cifar10 --limit 1000 --trace -o out",
        "gradscape curvature a.safetensors b.safetensors --data cifar10 --limit 1000 --bottom 0 --ignore biasbn -o out",
    ),
    "plot": (
        "gradscape plot out/surface.h5 --kind surface --scale log",
        "gradscape plot out/a/surface.h5 out/b/surface.h5 --kind contour -o figure",
    ),
    "sharpness": (
        "gradscape sharpness a.safetensors b.safetensors --data cifar10 --limit 2048 -o out",
        "gradscape sharpness a.safetensors --data cifar10 --limit 2048 --kind asam --rho 0.5 --m 128 -o out",
    ),
    "compare": (
        "gradscape compare out --metric sharpness --metric roughness",
        "gradscape compare runs/se runs/spa_a",
    ),
    "topology": (
        "gradscape topology out/surface.h5",
        "gradscape topology out/a/surface.h5 out/b/surface.h5 --value error -o topology",
    ),
    "cam": (
        "gradscape cam a.safetensors --images photos/*.jpg -o out",
        "gradscape cam a.safetensors b.safetensors --images cat.jpg --method gradcam --method layercam "
        "--class tabby -o out",
    ),
    "attention": (
        "gradscape attention a.safetensors --images photos -o out",
        "gradscape attention a.safetensors --images cat.jpg dog.jpg --block stages.2 -o out",
    ),
    "fusion": (
        "gradscape fusion a.safetensors --images cat.jpg -o out",
        "gradscape fusion a.safetensors --noise -o out",
    ),
    "tsne": (
        "gradscape tsne a.safetensors b.safetensors --data cifar10 --limit 700 -o out",
        "gradscape tsne a.safetensors --data folder:photos --classes cat,dog --perplexity 15 -o out",
    ),
    "decision": (
        "gradscape decision a.safetensors b.safetensors --images cat.jpg dog.jpg bird.jpg -o out",
        "gradscape decision a.safetensors --images cat.jpg --norm l2 --class tabby -o out",
    ),
    "figure": (
        "gradscape figure --list",
        "gradscape figure upanets:8 a.safetensors b.safetensors --data cifar10 -o figures",
    ),
    "table": (
        "gradscape table spanet:III",
        "gradscape table upanets:4 runs/upanet16 -o upanets-4.tex",
    ),
    "report": (
        "gradscape report out",
        "gradscape report runs/cifar10 out -o report.html",
    ),
    "convert": (
        "gradscape convert out/surface.h5 --to csv",
        "gradscape convert out/surface.h5 --to vtp -o surface.vtp",
    ),
}
